// Every small change that Stryker's mutators would make to a source, as text to put in place of other text.
import {Instrumenter} from '@stryker-mutator/instrumenter';

export interface Mutant {
  readonly file: string;
  readonly mutator: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** Why it is not tried. */
  readonly ignored: string | undefined;
}

/** What Babel shows of a node; the instrumenter has no types for what an ignorer sees beyond this. */
interface NodePath {
  readonly node: {readonly type: string; readonly callee?: {readonly name?: string}};
  readonly key: string | number | null;
  readonly parentPath: NodePath | null;
}

/** What an error says in words is not tested: only its class, and the code of a refusal. */
const wording = {
  shouldIgnore({node, key, parentPath}: NodePath): string | undefined {
    if (node.type !== 'StringLiteral' && node.type !== 'TemplateLiteral') return undefined;
    const name = parentPath?.node.type === 'NewExpression' ? (parentPath.node.callee?.name ?? '') : '';
    if (!/(?:Error|MissingEvents|ReplicaSuperseded|Refusal)$/.test(name)) return undefined;
    return key === (name === 'Refusal' ? 1 : 0) ? 'the wording of an error' : undefined;
  },
};

const quiet = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
};

export async function mutantsOf(file: string, source: string): Promise<readonly Mutant[]> {
  const instrumenter = new Instrumenter(quiet);
  const options = {plugins: null, excludedMutations: [], ignorers: [wording]};
  const {mutants} = await instrumenter.instrument([{name: file, content: source, mutate: true}], options);
  const starts = [0, ...[...source.matchAll(/\n/g)].map(({index}) => index + 1)];
  const at = ({line, column}: Position): number => starts[line]! + column;
  return mutants.map(({mutatorName, replacement, location, status, statusReason}) => ({
    file,
    mutator: mutatorName,
    start: at(location.start),
    end: at(location.end),
    replacement,
    ignored: status === 'Ignored' ? (statusReason ?? 'ignored') : undefined,
  }));
}

interface Position {
  readonly line: number;
  readonly column: number;
}
