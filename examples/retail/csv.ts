// CSV as RFC 4180 has it, and strictly: whatever is not that is refused with its line instead of read as something else.

export interface CsvRecord {
  /** Where it starts; a quoted field may hold line breaks. */
  readonly line: number;
  readonly fields: readonly string[];
}

export class CsvError extends Error {
  override readonly name = 'CsvError';

  constructor(line: number, message: string) {
    super(`line ${line}: ${message}`);
  }
}

const BARE = /[^",\r\n]*/y;

export function* csvRecords(text: string): Generator<CsvRecord> {
  let at = 0;
  let line = 1;
  const refuse = (message: string): never => {
    throw new CsvError(line, message);
  };

  const quoted = (): string => {
    let value = '';
    for (;;) {
      const end = text.indexOf('"', at + 1);
      if (end < 0) refuse('a quoted field has no end');
      value += text.slice(at + 1, end);
      at = end + 1;
      if (text[at] !== '"') return value;
      value += '"'; // Doubled: a quote in the text. The second one opens the rest of the field.
    }
  };

  const bare = (): string => {
    BARE.lastIndex = at;
    const [value] = BARE.exec(text)!;
    at += value.length;
    if (text[at] === '"') refuse('a quote inside a field that does not begin with one');
    return value;
  };

  while (at < text.length) {
    const start = line;
    const fields: string[] = [];
    for (;;) {
      const value = text[at] === '"' ? quoted() : bare();
      fields.push(value);
      line += value.split('\n').length - 1;
      if (text[at] !== ',') break;
      at++;
    }
    if (text.startsWith('\r\n', at)) at += 2;
    else if (text[at] === '\n') at++;
    else if (at < text.length) refuse('a field goes on after its closing quote');
    line++;
    yield {line: start, fields};
  }
}
