// Makes the page live and quick; every page and action works without it.

/** While the page waits for a result that comes soon. */
const soonMs = 2_000;
const main = () => document.getElementById('main');
const renewMs = () => Number(main()?.dataset.renewSeconds ?? 10) * 1_000;
const isTyping = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? '');

// On a phone the navigation is wider than the screen.
document.querySelector('nav [aria-current]')?.scrollIntoView({ inline: 'center', block: 'nearest' });

// --- Live: the page renews itself while nobody types, selects text or has a panel open ---
const liveButton = document.getElementById('live');
const isRenewable = () => main()?.hasAttribute('hx-get') ?? false;
const renew = () => htmx.trigger(main(), 'ops-renew');

function isBusy() {
  return (
    document.visibilityState !== 'visible' ||
    isTyping() ||
    String(getSelection()) !== '' ||
    document.querySelector('dialog[open], details.popup[open]') !== null
  );
}

if (liveButton && isRenewable()) {
  const show = () =>
    liveButton.setAttribute('aria-pressed', String(sessionStorage.getItem('live') !== 'off'));
  liveButton.hidden = false;
  liveButton.addEventListener('click', () => {
    sessionStorage.setItem('live', liveButton.getAttribute('aria-pressed') === 'true' ? 'off' : 'on');
    show();
  });
  show();
  const renewLater = () =>
    setTimeout(
      () => {
        if (liveButton.getAttribute('aria-pressed') === 'true' && !isBusy()) renew();
        renewLater();
      },
      document.querySelector('[data-soon]') ? soonMs : renewMs(),
    );
  renewLater();
}

// --- A replay in parts goes on by itself, in the tab where a person began it or pressed the button ---
const nextPart = document.querySelector('form[data-go-on]');
if (!nextPart) sessionStorage.removeItem('goes-on');
else if (sessionStorage.getItem('goes-on')) setTimeout(() => nextPart.requestSubmit(), 300);
document.addEventListener('submit', ({ target }) => {
  if (target.matches('[data-begins], [data-go-on]')) sessionStorage.setItem('goes-on', 'yes');
});

// --- Copy ---
function prepareCopy() {
  for (const button of document.querySelectorAll('button.copy[hidden]')) button.hidden = false;
}

async function copy(button) {
  const text = button.parentElement.querySelector('pre');
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = 'Copied';
  } catch {
    // Over plain http there is no clipboard: the text is selected, and Ctrl-C copies it.
    getSelection().selectAllChildren(text);
    button.textContent = 'Press Ctrl-C';
  }
  setTimeout(() => {
    button.textContent = 'Copy';
  }, 2_000);
}

document.addEventListener('click', (event) => {
  const button = event.target.closest?.('button.copy');
  if (button) copy(button);
});
document.addEventListener('htmx:after:swap', prepareCopy);
prepareCopy();

// --- Keys ---
const help = document.getElementById('help');
const keysButton = document.getElementById('keys');
if (keysButton && help) {
  keysButton.hidden = false;
  keysButton.addEventListener('click', () => help.showModal());
}

/** The links of the rows: a table's event, a group's list. */
const rows = () => [...document.querySelectorAll('table.list tbody tr, ul.groups > li')].filter(linkOf);
const linkOf = (row) => row.querySelector('a.id, [data-row], a');

function move(step) {
  const all = rows();
  const at = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step];
  linkOf(next ?? all[at] ?? document.body)?.focus();
}

const keys = {
  '/': () =>
    document.querySelector('[data-search]')
      ? document.querySelector('[data-search]').focus()
      : location.assign('/ops/events'),
  j: () => move(1),
  k: () => move(-1),
  r: () => (isRenewable() ? renew() : location.reload()),
  '?': () => help?.showModal(),
};

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && isTyping()) document.activeElement.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping() || help?.open) return;
  const act = keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});
