/** What the views work with; tests give their own. */
import { createContext, useContext } from "react";
import { type Client, createClient } from "./api/client";
import { KeyRing, browserStorage } from "./keys/keep";
import { type LeaseApi, createLeaseApi } from "./leases/client";
import { measure } from "./nodes/measure";
import { WalletFinder } from "./wallet/discovery";

export interface Services {
  client: Client;
  leases: LeaseApi;
  finder: WalletFinder;
  keys: KeyRing;
  measure: (url: string, signal?: AbortSignal) => Promise<number | null>;
}

export function browserServices(): Services {
  return { client: createClient(), leases: createLeaseApi(), finder: new WalletFinder(), keys: new KeyRing(browserStorage()), measure };
}

export const ServicesContext = createContext<Services | null>(null);

export function useServices(): Services {
  const services = useContext(ServicesContext);
  if (services === null) throw new Error("useServices is used outside of ServicesContext");
  return services;
}
