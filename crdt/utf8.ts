// UTF-8 in both directions, strict: what is not well-formed is refused, since two different strings must never become
// the same bytes. Written out for the short strings that keys are: a call into the engine costs more than they do.

/** Length in bytes of a well-formed string; undefined when the string holds a lone surrogate. */
export function utf8Length(text: string): number | undefined {
  if (!text.isWellFormed()) return undefined;
  let length = 0;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) length += 1;
    else if (unit < 0x800) length += 2;
    else if (unit >= 0xd800 && unit < 0xdc00) {
      length += 4;
      index++;
    } else length += 3;
  }
  return length;
}

/** Writes well-formed text at `offset`; the caller has made room with `utf8Length`. Returns the offset behind it. */
export function writeUtf8(text: string, into: Uint8Array, offset: number): number {
  let at = offset;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) {
      into[at++] = unit;
      continue;
    }
    const point = text.codePointAt(index)!;
    if (point < 0x800) into[at++] = 0xc0 | (point >> 6);
    else {
      if (point < 0x10000) into[at++] = 0xe0 | (point >> 12);
      else {
        index++;
        into[at++] = 0xf0 | (point >> 18);
        into[at++] = 0x80 | ((point >> 12) & 0x3f);
      }
      into[at++] = 0x80 | ((point >> 6) & 0x3f);
    }
    into[at++] = 0x80 | (point & 0x3f);
  }
  return at;
}

/** Longer texts would grow unit by unit into a chain of pieces, which engines keep until somebody looks inside. */
const BY_HAND_MAX = 12;
const strict = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

function readByEngine(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Undefined for anything that is not the one shortest encoding of a well-formed string. */
export function readUtf8(bytes: Uint8Array, from = 0, to = bytes.length): string | undefined {
  if (to - from > BY_HAND_MAX) return readByEngine(bytes.subarray(from, to));
  let text = '';
  let at = from;
  while (at < to) {
    const first = bytes[at]!;
    if (first < 0x80) {
      text += String.fromCharCode(first);
      at += 1;
      continue;
    }
    const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || at + more >= to) return undefined;
    let point = first & (0x3f >> more);
    for (let step = 1; step <= more; step++) {
      const next = bytes[at + step]!;
      if ((next & 0xc0) !== 0x80) return undefined;
      point = (point << 6) | (next & 0x3f);
    }
    const least = more === 3 ? 0x10000 : more === 2 ? 0x800 : 0x80;
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return undefined;
    text += String.fromCodePoint(point);
    at += more + 1;
  }
  return text;
}
