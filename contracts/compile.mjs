// Compiles contracts/src (and the helpers of the tests in contracts/test) and writes the artifacts that the
// repository keeps. `--check` writes nothing and fails when a kept artifact differs from its sources.
//
// The bytecode is deterministic: exact compiler, fixed EVM version, no metadata hash. That matters because
// CREATE2 derives a contract's address from its bytecode.

import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const solc = require("solc");
const root = dirname(fileURLToPath(import.meta.url));

const SETTINGS = {
  // Known to Anvil, py-evm and every OP-stack chain since Ecotone.
  evmVersion: "cancun",
  // A page of the access list is read far more often than the contracts are deployed: optimize for running.
  optimizer: { enabled: true, runs: 1_000_000 },
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};

// The two sets are compiled apart, so that a helper of the tests can never change what is deployed.
const SETS = [
  { sources: "src", artifacts: "artifacts", names: ["AccessPass", "KeyRegistry", "NodeRegistry"], tolerated: [] },
  // 1699: selfdestruct is deprecated; a test needs what it leaves behind.
  { sources: "test", artifacts: "artifacts/test", names: null, tolerated: ["1699"] },
];

class CompileError extends Error {}

function readImport(path) {
  try {
    return { contents: readFileSync(path.startsWith("@") ? join(root, "node_modules", path) : join(root, path), "utf8") };
  } catch (error) {
    return { error: `${path}: ${error.message} (run "npm ci" in contracts/)` };
  }
}

function compile(folder, tolerated) {
  const files = readdirSync(join(root, folder)).filter((name) => name.endsWith(".sol")).sort();
  const sources = Object.fromEntries(
    files.map((name) => [`${folder}/${name}`, { content: readFileSync(join(root, folder, name), "utf8") }]),
  );
  const input = { language: "Solidity", sources, settings: SETTINGS };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: readImport }));
  const problems = (output.errors ?? []).filter(
    // Warnings fail too, since a contract cannot be patched later; but not those about a library's own sources.
    ({ severity, sourceLocation, errorCode }) =>
      severity === "error" || !(sourceLocation?.file.startsWith("@") || tolerated.includes(errorCode)),
  );
  if (problems.length > 0) {
    throw new CompileError(problems.map((problem) => problem.formattedMessage).join("\n"));
  }
  return files.flatMap((name) => Object.entries(output.contracts[`${folder}/${name}`] ?? {}));
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

function artifact(contract) {
  const { outputSelection, ...settings } = SETTINGS;
  return JSON.stringify(
    sorted({
      abi: contract.abi,
      bytecode: `0x${contract.evm.bytecode.object}`,
      compiler: { name: "solc", settings, version: solc.version() },
    }),
    null,
    2,
  ) + "\n";
}

function artifacts({ sources, names, tolerated }) {
  const contracts = compile(sources, tolerated).filter(
    ([name, contract]) => contract.evm.bytecode.object !== "" && (names === null || names.includes(name)),
  );
  return new Map(contracts.map(([name, contract]) => [`${name}.json`, artifact(contract)]));
}

function kept(folder) {
  try {
    return readdirSync(join(root, folder)).filter((name) => name.endsWith(".json"));
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

function main(check) {
  const stale = [];
  for (const set of SETS) {
    const fresh = artifacts(set);
    const folder = join(root, set.artifacts);
    if (!check) mkdirSync(folder, { recursive: true });
    for (const name of kept(set.artifacts).filter((name) => !fresh.has(name))) {
      stale.push(`${set.artifacts}/${name} has no source`);
      if (!check) rmSync(join(folder, name));
    }
    for (const [name, text] of fresh) {
      const path = join(folder, name);
      if (kept(set.artifacts).includes(name) && readFileSync(path, "utf8") === text) continue;
      stale.push(`${set.artifacts}/${name} differs from its source`);
      if (!check) writeFileSync(path, text);
    }
  }
  if (check && stale.length > 0) {
    throw new CompileError(`${stale.join("\n")}\nRun "npm run compile" in contracts/ and commit the artifacts.`);
  }
}

try {
  main(process.argv.includes("--check"));
} catch (error) {
  if (!(error instanceof CompileError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
