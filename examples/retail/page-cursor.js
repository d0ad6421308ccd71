// Values under the pointer. The charts are complete without it.
const tip = document.getElementById('tip');
for (const svg of document.querySelectorAll('svg[data-chart]')) {
  const {left, right, from, to, unit, series} = JSON.parse(svg.dataset.chart);
  const cursor = svg.querySelector('.cursor');
  svg.addEventListener('pointermove', event => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const at = from + ((x - left) / (right - left)) * (to - from);
    if (x < left || x > right) return hide(cursor);
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    cursor.setAttribute('visibility', 'visible');
    tip.replaceChildren(line(`${at.toFixed(1)} s`));
    for (const {name, color, points} of series) {
      const known = points.findLast(point => point[0] <= at);
      if (known) tip.append(line(`${name}: ${known[1].toLocaleString('en')}`, color));
    }
    tip.title = unit;
    tip.hidden = false;
    const beyond = event.clientX + 16 + tip.offsetWidth > innerWidth;
    tip.style.left = `${beyond ? event.clientX - 16 - tip.offsetWidth : event.clientX + 16}px`;
    tip.style.top = `${event.clientY + 12}px`;
  });
  svg.addEventListener('pointerleave', () => hide(cursor));
}

function hide(cursor) {
  cursor.setAttribute('visibility', 'hidden');
  tip.hidden = true;
}

function line(text, color = 'inherit') {
  const div = document.createElement('div');
  div.textContent = text;
  div.style.color = color;
  return div;
}
