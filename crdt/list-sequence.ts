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

export function sequenceFrom<T>(items: readonly T[]): Sequence<T> {
  let level: readonly (T | Node<T>)[] = items;
  for (let height = 0; ; height++) {
    const nodes: Node<T>[] = [];
    for (let at = 0; at < level.length; at += WIDTH_MAX) nodes.push(nodeOf(height, level.slice(at, at + WIDTH_MAX)));
    if (nodes.length <= 1) return sequenceOf(nodes[0]);
    level = nodes;
  }
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

export function withItem<T>({root}: Sequence<T>, index: number, item: T): Sequence<T> {
  if (!root) return sequenceFrom([item]);
  const [left, right] = inserted(root, index, item);
  return sequenceOf(right ? nodeOf(left.height + 1, [left, right]) : left);
}

function inserted<T>(node: Node<T>, index: number, item: T): [Node<T>, Node<T>?] {
  const items = node.items.slice();
  if (node.height === 0) items.splice(index, 0, item);
  else {
    const [at, before] = childAt(node, index);
    const [left, right] = inserted(childrenOf(node)[at]!, index - before, item);
    items[at] = left;
    if (right) items.splice(at + 1, 0, right);
  }
  if (items.length <= WIDTH_MAX) return [nodeOf(node.height, items)];
  // What is typed goes to the end: a split in the middle would leave every node half full.
  const half = index === node.length ? WIDTH_MAX : WIDTH_MAX / 2;
  return [nodeOf(node.height, items.slice(0, half)), nodeOf(node.height, items.slice(half))];
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
