// Order lines of an online shop, in the format of Chen's Online Retail data set.
import {existsSync, readFileSync} from 'node:fs';
import {gunzipSync} from 'node:zlib';
import {CsvError, csvRecords} from './csv.ts';

export interface OrderLine {
  /** In the file. */
  readonly line: number;
  readonly invoice: string;
  readonly item: string;
  /** Negative when something comes back. */
  readonly quantity: number;
  readonly at: string;
  readonly country: string;
}

export interface Orders {
  /** In order of time. */
  readonly goods: readonly OrderLine[];
  /** Postage, fees, discounts and corrections, by their code. */
  readonly notGoods: readonly OrderLine[];
}

export class OrdersError extends Error {
  override readonly name = 'OrdersError';
}

const COLUMNS = 'InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country';
const DATE = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
/** Five digits and perhaps letters for a variant; DCGS for what the shop sells under its own brand; one word. */
const GOODS = /^(\d{5}[A-Z]*|DCGS\w+|PADS)$/;

export const isGoods = (item: string): boolean => GOODS.test(item);

function orderLine(line: number, fields: readonly string[]): OrderLine {
  if (fields.length !== 8) throw new CsvError(line, `${fields.length} fields instead of 8`);
  const [invoice, code, , amount, at, , , country] = fields as [string, string, string, string, string, ...string[]] &
    Record<7, string>;
  const quantity = Number(amount);
  if (!/^-?\d+$/.test(amount) || quantity === 0) throw new CsvError(line, `"${amount}" is no quantity`);
  if (!DATE.test(at)) throw new CsvError(line, `"${at}" is no time like 2010-12-01 08:26:00`);
  if (code.trim() === '' || invoice === '') throw new CsvError(line, 'an order line has an invoice and a stock code');
  // The tills typed some codes in both cases: 15056BL and 15056bl are one parasol.
  return {line, invoice, item: code.trim().toUpperCase(), quantity, at, country: country.trim()};
}

export function parseOrders(text: string): Orders {
  const [header, ...records] = csvRecords(text);
  if (header?.fields.join(',') !== COLUMNS) throw new CsvError(1, `the columns are not ${COLUMNS}`);
  const lines = records.map(({line, fields}) => orderLine(line, fields));
  if (lines.length === 0) throw new CsvError(2, 'there are no order lines');
  lines.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return {
    goods: lines.filter(({item}) => isGoods(item)),
    notGoods: lines.filter(({item}) => !isGoods(item)),
  };
}

/** Plain or gzipped; the content says which. */
export function readOrders(file: string): Orders {
  if (!existsSync(file)) throw new OrdersError(`there is no file ${file}`);
  try {
    const bytes = readFileSync(file);
    const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return parseOrders(new TextDecoder('utf-8', {fatal: true}).decode(zipped ? gunzipSync(bytes) : bytes));
  } catch (error) {
    throw new OrdersError(`${file} is not a file of order lines: ${(error as Error).message}`, {cause: error});
  }
}
