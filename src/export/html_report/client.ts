/**
 * What the page does beyond showing: sorting tables, a cross-hair on charts, the theme. It reads
 * the report from the JSON in the page and writes text nodes only.
 */
export const CLIENT = `'use strict';
(() => {
  const report = JSON.parse(document.getElementById('report').textContent);
  const root = document.documentElement;
  document.getElementById('theme').addEventListener('click', () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === 'dark'
      : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });
  const shown = 12;
  for (const table of document.querySelectorAll('table.sortable')) {
    const body = table.tBodies[0];
    let isOpen = body.rows.length <= shown + 3;
    const fold = () => [...body.rows].forEach((row, i) =>
      row.classList.toggle('folded', !isOpen && i >= shown));
    if (!isOpen) {
      const more = document.createElement('button');
      more.type = 'button';
      more.className = 'more';
      more.textContent = 'Show all ' + body.rows.length + ' rows';
      more.addEventListener('click', () => { isOpen = true; more.remove(); fold(); });
      table.parentElement.after(more);
      fold();
    }
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.firstElementChild.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') !== 'descending';
        for (const other of heads) other.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const numeric = head.classList.contains('number');
        const key = (row) => row.cells[column].dataset.key;
        const rows = [...body.rows].sort((a, b) =>
          numeric ? Number(key(b)) - Number(key(a)) : key(b).localeCompare(key(a)));
        if (!down) rows.reverse();
        body.append(...rows);
        fold();
      });
    });
  }
  const size = (bytes) => {
    const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
    let unit = 0;
    while (bytes >= 1023.95 && unit < 4) { bytes /= 1024; unit += 1; }
    return (unit ? bytes.toFixed(1) : bytes) + ' ' + units[unit];
  };
  const { timesNs, processes, forks } = report.timeline;
  const name = (index) => report.processes[index].comm + ' ' + report.processes[index].pid;
  const lines = (kind, sample) => {
    const found = kind === 'erosion'
      ? forks.map((c) => [name(report.forks[c.fork].child), c.sharedBytes[sample - c.firstIndex]])
      : processes.map((c) => [name(c.process), c.pssBytes[sample - c.firstIndex],
          c.ussBytes[sample - c.firstIndex]]);
    return found.filter((row) => row[1] > 0).sort((a, b) => b[1] - a[1]).slice(0, 10)
      .map(([label, bytes, own]) => label + '  ' + size(bytes) +
        (own === undefined ? '' : ' PSS, ' + size(own) + ' USS'));
  };
  for (const chart of document.querySelectorAll('svg.chart')) {
    const { kind, left, right, from, to } = chart.dataset;
    const cross = chart.querySelector('.cross');
    const tip = document.createElement('div');
    tip.className = 'tip';
    tip.hidden = true;
    tip.setAttribute('role', 'status');
    chart.parentElement.append(tip);
    let sample = 0;
    const show = () => {
      const x = +left + ((timesNs[sample] - from) / (to - from)) * (right - left);
      cross.setAttribute('x1', x);
      cross.setAttribute('x2', x);
      cross.setAttribute('visibility', 'visible');
      const rest = lines(kind, sample);
      tip.textContent = [(timesNs[sample] / 1e9).toFixed(3) + ' s', ...rest].join('\\n');
      tip.hidden = false;
      const wide = chart.clientWidth;
      const at = (x / chart.viewBox.baseVal.width) * wide;
      tip.style.left = Math.max(0, at > wide / 2 ? at - tip.offsetWidth : at + 28) + 'px';
      tip.style.top = '24px';
    };
    const hide = () => { tip.hidden = true; cross.setAttribute('visibility', 'hidden'); };
    chart.addEventListener('pointermove', (event) => {
      const box = chart.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
      const time = +from + ((x - left) / (right - left)) * (to - from);
      sample = timesNs.findIndex((t) => t >= time);
      if (sample < 0) sample = timesNs.length - 1;
      show();
    });
    chart.addEventListener('pointerleave', hide);
    chart.addEventListener('blur', hide);
    chart.addEventListener('keydown', (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: 10, PageDown: -10 }[event.key];
      if (event.key === 'Escape') hide();
      if (step === undefined) return;
      event.preventDefault();
      sample = Math.max(0, Math.min(timesNs.length - 1, sample + step));
      show();
    });
  }
})();
`;
