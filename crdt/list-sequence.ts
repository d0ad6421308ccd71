// An immutable sequence as a B-tree with counts: reading, inserting and removing at an index visit one node per level, and
// versions share all others. Nodes are dropped when they are empty and never merged: each leaf holds at least one item, so
// the tree is no larger than what it holds.

/** Half of it when a node is split; small enough to copy at each change, large enough to keep the tree low. */
const WIDTH_MAX = 32;

interface Node<T> {
  /** 0 for a leaf, whose items are what the sequence holds; the items of others are nodes one level below. */
  readonly height: number;
  readonly length: number;
  readonly first: T;
  readonly items: readonly (T | Node<T>)[];
}

export interface Sequence<T> {
  readonly length: number;
  readonly root: Node<T> | undefined;
}

const EMPTY: Sequence<never> = {length: 0, root: undefined};
export const emptySequence = <T>(): Sequence<T> => EMPTY;

const itemsOf = <T>(leaf: Node<T>) => leaf.items as readonly T[];
const childrenOf = <T>(node: Node<T>) => node.items as readonly Node<T>[];

function nodeOf<T>(height: number, items: readonly (T | Node<T>)[]): Node<T> {
  if (height === 0) return {height, length: items.length, first: items[0] as T, items};
  const children = items as readonly Node<T>[];
  let length = 0;
  for (const child of children) length += child.length;
  return {height, length, first: children[0]!.first, items};
}

const sequenceOf = <T>(root: Node<T> | undefined): Sequence<T> => (root ? {length: root.length, root} : EMPTY);

/** Takes the array over. */
export function sequenceFrom<T>(items: readonly T[]): Sequence<T> {
  if (items.length === 0) return EMPTY;
  let nodes = nodesOf<T>(0, items, true);
  for (let height = 1; nodes.length > 1; height++) nodes = nodesOf(height, nodes, true);
  return sequenceOf(nodes[0]);
}

export function itemAt<T>({root, length}: Sequence<T>, index: number): T | undefined {
  if (!root || index < 0 || index >= length) return undefined;
  let [node, rest] = [root, index];
  while (node.height > 0) {
    const [at, before] = childAt(node, rest);
    node = childrenOf(node)[at]!;
    rest -= before;
  }
  return itemsOf(node)[rest];
}

/** The child that holds what is at `index`, or ends there, and how many items come before it. */
function childAt<T>(node: Node<T>, index: number): [at: number, before: number] {
  const children = childrenOf(node);
  let before = 0;
  let at = 0;
  while (at < children.length - 1 && before + children[at]!.length <= index) before += children[at++]!.length;
  return [at, before];
}

/** How many items come before the place that `isBefore` describes; it must hold for a beginning of the sequence only. */
export function countBefore<T>({root}: Sequence<T>, isBefore: (item: T) => boolean): number {
  if (!root) return 0;
  let [node, before] = [root, 0];
  while (node.height > 0) {
    const children = childrenOf(node);
    const at = Math.max(0, partition(children.length, index => isBefore(children[index]!.first)) - 1);
    for (let index = 0; index < at; index++) before += children[index]!.length;
    node = children[at]!;
  }
  const items = itemsOf(node);
  return before + partition(items.length, index => isBefore(items[index]!));
}

/** The first index for which `holds` does not hold. */
function partition(length: number, holds: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts items at `index`, in their order; takes the array over. */
export function withItems<T>({root}: Sequence<T>, index: number, added: readonly T[]): Sequence<T> {
  if (!root) return sequenceFrom(added);
  if (added.length === 0) return sequenceOf(root);
  let nodes = inserted(root, index, added);
  for (let {height} = root; nodes.length > 1; height++) nodes = nodesOf(height + 1, nodes);
  return sequenceOf(nodes[0]);
}

/** What is to be there instead of the node: several nodes when it became too wide. */
function inserted<T>(node: Node<T>, index: number, added: readonly T[]): readonly Node<T>[] {
  let items: readonly (T | Node<T>)[];
  if (node.height === 0) items = [...node.items.slice(0, index), ...added, ...node.items.slice(index)];
  else {
    const [at, before] = childAt(node, index);
    const nodes = inserted(childrenOf(node)[at]!, index - before, added);
    items = [...node.items.slice(0, at), ...nodes, ...node.items.slice(at + 1)];
  }
  // What is typed goes to the end: an even split there would leave every node half full.
  return nodesOf(node.height, items, index === node.length);
}

/** As many nodes as it takes, evenly filled, or else all but the last one full. */
function nodesOf<T>(height: number, items: readonly (T | Node<T>)[], full = false): readonly Node<T>[] {
  if (items.length <= WIDTH_MAX) return [nodeOf(height, items)];
  const width = full ? WIDTH_MAX : Math.ceil(items.length / Math.ceil(items.length / WIDTH_MAX));
  const nodes: Node<T>[] = [];
  for (let at = 0; at < items.length; at += width) nodes.push(nodeOf(height, items.slice(at, at + width)));
  return nodes;
}

export function withoutItem<T>({root}: Sequence<T>, index: number): Sequence<T> {
  let node = root && removed(root, index);
  while (node && node.height > 0 && node.items.length === 1) node = childrenOf(node)[0]!;
  return sequenceOf(node);
}

function removed<T>(node: Node<T>, index: number): Node<T> | undefined {
  const items = node.items.slice();
  if (node.height === 0) items.splice(index, 1);
  else {
    const [at, before] = childAt(node, index);
    const child = removed(childrenOf(node)[at]!, index - before);
    if (child) items[at] = child;
    else items.splice(at, 1);
  }
  return items.length > 0 ? nodeOf(node.height, items) : undefined;
}

/** All items, in order. */
export function itemsIn<T>({root}: Sequence<T>): readonly T[] {
  const all: T[] = [];
  const visit = (node: Node<T>) => {
    if (node.height > 0) childrenOf(node).forEach(visit);
    else for (const item of itemsOf(node)) all.push(item);
  };
  if (root) visit(root);
  return all;
}
