/**
 * What tests of a connector import from `weir/testing`: suites for `node --test`, each the contract that the connectors
 * of Weir itself pass.
 */
export type { ManifestTest } from './testing/manifest-contract.ts';
export { manifestContract } from './testing/manifest-contract.ts';
export type { RowSinkFixture, RowSinkPromises } from './testing/sink-contract.ts';
export { rowSinkContract } from './testing/sink-contract.ts';
export type { SourceFixture } from './testing/source-contract.ts';
export { sourceContract } from './testing/source-contract.ts';
