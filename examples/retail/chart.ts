// Line charts as SVG text: no library, no script needed to see them.

export interface Series {
  readonly name: string;
  /** A CSS colour. */
  readonly color: string;
  /** By ascending x. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** A value holds until the next one is known. */
  readonly stepped?: boolean;
  /** Shaded down to zero. */
  readonly filled?: boolean;
}

export interface Chart {
  readonly title: string;
  readonly unit: string;
  readonly series: readonly Series[];
  /** Seconds, the same for all charts of a page. */
  readonly from: number;
  readonly to: number;
  readonly shaded: readonly {
    readonly from: number;
    readonly to: number;
    readonly label: string;
    readonly kind: string;
  }[];
  readonly marks: readonly {readonly at: number; readonly label: string}[];
  readonly width: number;
  readonly height: number;
}

const MARGIN = {top: 26, right: 12, bottom: 30, left: 52};
const TICKS_WANTED = 4;

export const escaped = (text: string): string => text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`);

/** 1, 2 or 5 times a power of ten: the step that gives about as many ticks as are wanted. */
export function tickStep(span: number, wanted: number): number {
  const power = 10 ** Math.floor(Math.log10(span / wanted));
  return [1, 2, 5, 10].map(times => times * power).find(step => span / step <= wanted)!;
}

export const tickText = (value: number): string =>
  Math.abs(value) >= 10_000 ? `${Number((value / 1000).toPrecision(3))}k` : String(Number(value.toPrecision(6)));

const px = (value: number): string => String(Math.round(value * 10) / 10);

function pathOf({points, stepped}: Series, x: (value: number) => number, y: (value: number) => number): string {
  let path = '';
  for (const [index, [atX, atY]] of points.entries())
    if (index === 0) path = `M${px(x(atX))} ${px(y(atY))}`;
    else path += stepped ? `H${px(x(atX))}V${px(y(atY))}` : `L${px(x(atX))} ${px(y(atY))}`;
  return path;
}

export function chartSvg(chart: Chart): string {
  const {title, unit, series, from, to, shaded, marks, width, height} = chart;
  const [left, right] = [MARGIN.left, width - MARGIN.right];
  const [top, bottom] = [MARGIN.top, height - MARGIN.bottom];
  const highest = Math.max(1, ...series.flatMap(({points}) => points.map(([, value]) => value)));
  const step = Math.max(1, tickStep(highest, TICKS_WANTED)); // All that is plotted comes in whole numbers.
  const yMax = Math.ceil(highest / step) * step;
  const x = (value: number) => left + ((value - from) / (to - from)) * (right - left);
  const y = (value: number) => bottom - (value / yMax) * (bottom - top);
  const parts: string[] = [];

  for (const {from: start, to: end, label, kind} of shaded) {
    const [a, b] = [x(Math.max(start, from)), x(Math.min(end, to))];
    parts.push(
      `<rect class="${kind}" x="${px(a)}" y="${top}" width="${px(Math.max(1, b - a))}" height="${bottom - top}"><title>${escaped(label)}</title></rect>`,
    );
  }
  for (let value = 0; value <= yMax + step / 2; value += step)
    parts.push(
      `<line class="grid" x1="${left}" x2="${right}" y1="${px(y(value))}" y2="${px(y(value))}"/>`,
      `<text class="tick" x="${left - 6}" y="${px(y(value) + 4)}" text-anchor="end">${tickText(value)}</text>`,
    );
  const second = tickStep(to - from, width / 90);
  for (let value = Math.ceil(from / second) * second; value <= to; value += second)
    parts.push(
      `<text class="tick" x="${px(x(value))}" y="${bottom + 16}" text-anchor="middle">${tickText(value)} s</text>`,
    );
  for (const {at, label} of marks)
    parts.push(
      `<g class="kill"><title>${escaped(label)}</title><line x1="${px(x(at))}" x2="${px(x(at))}" y1="${top - 4}" y2="${bottom}"/><circle cx="${px(x(at))}" cy="${top - 4}" r="3"/></g>`,
    );
  // Where regions agree their lines coincide: the first is drawn widest, so that every one is seen.
  for (const [index, one] of series.entries()) {
    const [first, last] = [one.points[0], one.points.at(-1)];
    if (!first || !last) continue;
    const path = pathOf(one, x, y);
    if (one.filled)
      parts.push(`<path class="area" style="fill:${one.color}" d="${path}V${bottom}H${px(x(first[0]))}Z"/>`);
    const wide = 1.5 + 1.4 * (series.length - 1 - index);
    parts.push(`<path class="line" style="stroke:${one.color};stroke-width:${px(wide)}" d="${path}"/>`);
  }
  const data = escaped(
    JSON.stringify({
      left,
      right,
      from,
      to,
      unit,
      series: series.map(({name, color, points}) => ({
        name,
        color,
        points: points.map(([a, b]) => [round(a), round(b)]),
      })),
    }),
  );
  return `<figure><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}" data-chart="${data}">
<text class="title" x="0" y="13">${escaped(title)} <tspan class="unit">${escaped(unit)}</tspan></text>
${parts.join('\n')}
<line class="cursor" x1="0" x2="0" y1="${top}" y2="${bottom}" visibility="hidden"/>
</svg></figure>`;
}

const round = (value: number): number => Math.round(value * 100) / 100;
