// What a run ends with when something is not as it must be.

export class Violation extends Error {
  override readonly name = 'Violation';
}

export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Violation(what);
}
