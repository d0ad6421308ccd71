// The simulator runs the real stores in Node, where the types of Workers would clash with Node's own: this is the part of
// theirs that the stores use.
interface SqlStorage {
  exec(query: string, ...bindings: unknown[]): {toArray(): Record<string, unknown>[]};
}
