/**
 * node:http, taken without an import statement: that would read everything the module exports, and one of its exports
 * (WebSocket) loads all of fetch: 40 ms of processor time and 6 MB in every process, for nothing.
 */
export const http = process.getBuiltinModule('node:http');
