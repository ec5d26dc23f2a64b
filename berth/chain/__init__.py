"""The chain: a JSON-RPC endpoint and typed readers and writers of our contracts.

Reading needs neither web3 nor eth_account (1.1 s and 0.6 s to import): a list of passes is read in every
preview and by every node, so :mod:`berth.chain.endpoint` and :mod:`berth.chain.key_registry` stay with an
HTTP pool and keccak.  web3 is imported when something is written, and nowhere but in this package.

``endpoint``       JSON-RPC with time-outs, EIP-1898 blocks and clear errors
``quorum``         several endpoints as one: what they say of one block has to agree
``heads``          new heads, by WebSocket or by asking
``watch``          the head, looked at in the background for health reports
``logs``           which passes a block touched
``networks``       the chains that are known by name
``artifacts``      compiled contracts
``create2``        addresses known before deployment, and the deployment
``key_registry``, ``access_pass``, ``node_registry``   our contracts
``history``        which passes an account may have to do with, from events
``eip712``         the messages that a holder signs to register and revoke a key without paying gas
``signatures``     whether an account, or a wallet contract (ERC-1271), signed a message
``accounts``       which account a private key belongs to
``transactions``   signing and sending
``dev``            what demos and tests need on a local chain
"""
