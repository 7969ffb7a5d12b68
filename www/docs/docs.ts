/** Every page of the documentation: theme, menu, and the search, whose index is loaded once someone searches. */
import { applyTheme, storedTheme, type Theme } from '../src/lib/theme';
import type { Found } from './search';

const at = <E extends HTMLElement>(selector: string) => document.querySelector<E>(selector)!;

const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };
const SIGN: Record<Theme, string> = { system: '◐', light: '☀', dark: '☾' };

function offerTheme(button: HTMLButtonElement) {
  let theme = storedTheme();
  const show = () => {
    applyTheme(theme);
    button.textContent = SIGN[theme];
    button.title = `Theme: ${theme}`;
    button.setAttribute('aria-label', button.title);
  };
  button.addEventListener('click', () => {
    theme = NEXT[theme];
    show();
  });
  show();
  button.hidden = false;
}

/** On a narrow screen the menu is closed until it is wanted. */
function fitMenu(menu: HTMLDetailsElement) {
  const wide = matchMedia('(min-width: 60rem)');
  const fit = () => (menu.open = wide.matches);
  wide.addEventListener('change', fit);
  fit();
}

/** What scrolls sideways can be reached by keyboard. */
function reachScrollers() {
  for (const box of document.querySelectorAll<HTMLElement>('main pre, main .table')) {
    const scrolls = box.scrollWidth > box.clientWidth;
    if (scrolls) {
      box.tabIndex = 0;
      box.setAttribute('role', 'group');
      box.setAttribute('aria-label', box.matches('pre') ? 'Code' : 'Table');
    } else {
      for (const name of ['tabindex', 'role', 'aria-label']) box.removeAttribute(name);
    }
  }
}

function offerSearch(form: HTMLFormElement) {
  const input = form.querySelector('input')!;
  const list = form.querySelector('ol')!;
  const status = form.querySelector('p')!;
  const root = document.body.dataset.root!;
  let asked = 0;

  const entry = ({ url, page, heading, start }: Found) => {
    const link = document.createElement('a');
    link.href = root + url;
    const [title, where, text] = ['strong', 'small', 'span'].map((tag) => document.createElement(tag));
    title!.textContent = heading;
    where!.textContent = page === heading ? '' : page;
    text!.textContent = start;
    link.append(title!, where!, text!);
    const item = document.createElement('li');
    item.append(link);
    return item;
  };

  const close = () => {
    asked++;
    list.hidden = true;
    status.textContent = '';
  };

  async function look() {
    const mine = ++asked;
    const text = input.value.trim();
    if (text === '') return close();
    try {
      const { search } = await import('./search.js');
      const found = await search(text, new URL(`${root}search-index.json`, location.href));
      if (mine !== asked) return;
      list.replaceChildren(...found.map(entry));
      status.textContent = found.length === 0 ? `Nothing found for ${text}.` : `${found.length} results.`;
      if (found.length === 0) list.append(said(`Nothing found for “${text}”.`));
    } catch {
      if (mine !== asked) return;
      list.replaceChildren(said('The index could not be loaded. Check your connection.'));
    }
    list.hidden = false;
  }

  function said(text: string) {
    const item = document.createElement('li');
    item.className = 'said';
    item.textContent = text;
    return item;
  }

  /** From the field and through the results with the arrow keys. */
  function move(event: KeyboardEvent) {
    if (event.key === 'Escape') {
      if (list.hidden) return;
      event.preventDefault();
      input.focus(); // before it closes: the field opens what is closed
      return close();
    }
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step === 0 || list.hidden) return;
    event.preventDefault();
    const stops = [input, ...list.querySelectorAll('a')];
    const next = stops[stops.indexOf(document.activeElement as HTMLAnchorElement) + step];
    next?.focus();
  }

  input.addEventListener('input', () => void look());
  input.addEventListener('focus', () => input.value.trim() !== '' && list.hidden && void look());
  form.addEventListener('keydown', move);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    list.querySelector('a')?.click();
  });
  form.addEventListener('focusout', ({ relatedTarget }) => {
    if (relatedTarget instanceof Node && !form.contains(relatedTarget)) close();
  });
  document.addEventListener('pointerdown', ({ target }) => {
    if (target instanceof Node && !form.contains(target)) close();
  });
  document.addEventListener('keydown', (event) => {
    const isTyping = event.target instanceof HTMLElement && event.target.matches('input, textarea, select');
    if (event.key !== '/' || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
  form.parentElement!.hidden = false;
}

offerTheme(at<HTMLButtonElement>('.theme'));
fitMenu(at<HTMLDetailsElement>('.menu'));
offerSearch(at<HTMLFormElement>('search form'));
reachScrollers();
addEventListener('resize', reachScrollers);
