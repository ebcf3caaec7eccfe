/** The report's only script: shows the log's rows that hold a text. Without it the whole log is shown. It reads text, never markup. */
export const SCRIPT = `
'use strict';
for (const form of document.querySelectorAll('.filter')) {
  const text = form.querySelector('input[type=search]');
  const trouble = form.querySelector('input[type=checkbox]');
  const count = form.querySelector('output');
  const rows = Array.from(form.parentElement.querySelectorAll('.log > li'));
  const show = () => {
    const wanted = text.value.toLowerCase();
    const filtered = wanted !== '' || trouble.checked;
    let shown = 0;
    for (const row of rows) {
      const isGap = row.classList.contains('gap');
      const fits = !isGap && row.textContent.toLowerCase().includes(wanted)
        && (!trouble.checked || row.matches('.is-error, .is-warning, .hit'));
      row.style.display = filtered && !fits ? 'none' : '';
      if (fits) shown += 1;
    }
    count.textContent = filtered ? shown + ' shown' : '';
  };
  text.addEventListener('input', show);
  trouble.addEventListener('change', show);
  form.addEventListener('submit', (event) => event.preventDefault());
  form.hidden = false;
}
`;
