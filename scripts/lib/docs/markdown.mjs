// Markdown → the HTML of a page, and what the search finds in it.
import { Marked } from 'marked';
import { slugOf } from '../links.mjs';

export const escapeHtml = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/**
 * @param {string} markdown
 * @param {object} of
 * @param {(href: string) => string | null} of.hrefOf the address of a link's target on the site; `null`: the site does not have it
 * @param {(href: string) => string} of.srcOf the address of a picture on the site
 * @param {(code: string, language: string) => string} [of.codeHtml] a code block's contents as HTML
 * @returns {{title: string, html: string, sections: {id: string, heading: string, depth: number, text: string}[]}} a section reaches from its
 *   heading to the next one; the first one's id is empty
 */
export function renderMarkdown(markdown, { hrefOf, srcOf, codeHtml = escapeHtml }) {
  const marked = new Marked({ gfm: true });
  const tokens = marked.lexer(markdown);
  const sections = sectionsOf(tokens);
  let at = 0;
  marked.use({
    renderer: {
      heading({ tokens, depth }) {
        const { id } = sections[at++];
        const inner = this.parser.parseInline(tokens);
        if (depth === 1 && id === '') return `<h1>${inner}</h1>\n`;
        return `<h${depth} id="${id}">${inner} <a class="anchor" href="#${id}" aria-label="Link to this section">#</a></h${depth}>\n`;
      },
      link({ href, tokens }) {
        const inner = this.parser.parseInline(tokens);
        const target = /^[a-z][a-z+.-]*:/i.test(href) ? href : hrefOf(href);
        if (target === null) return `<span class="elsewhere" title="${escapeHtml(href)}, in the repository">${inner}</span>`;
        return `<a href="${escapeHtml(target)}"${/^https?:/.test(target) ? ' rel="noreferrer"' : ''}>${inner}</a>`;
      },
      image: ({ href, text }) => `<img src="${escapeHtml(srcOf(href))}" alt="${escapeHtml(text)}">`,
      code: ({ text, lang }) => `<pre><code>${codeHtml(text, (lang ?? '').split(' ')[0])}</code></pre>\n`,
      table(token) {
        const row = (cells, tag) =>
          `<tr>${cells.map((cell) => `<${tag}>${this.parser.parseInline(cell.tokens)}</${tag}>`).join('')}</tr>\n`;
        const isNamed = token.header.some(({ text }) => text.trim() !== '');
        const head = isNamed ? `<thead>${row(token.header, 'th').replaceAll('<th></th>', '<td></td>')}</thead>` : '';
        return `<div class="table"><table>${head}<tbody>${token.rows.map((cells) => row(cells, 'td')).join('')}</tbody></table></div>\n`;
      },
    },
  });
  return { title: sections[0].heading, html: marked.parser(tokens), sections };
}

/** Headings with the text below them. The title's id is empty: it is the top of the page. */
function sectionsOf(tokens) {
  const sections = [];
  const used = new Map();
  for (const token of tokens) {
    if (token.type === 'heading') {
      const slug = slugOf(token.text);
      const times = used.get(slug) ?? 0;
      used.set(slug, times + 1);
      const id = sections.length === 0 && token.depth === 1 ? '' : times > 0 ? `${slug}-${times}` : slug;
      sections.push({ id, heading: plain(token.tokens), depth: token.depth, text: '' });
    } else if (sections.length > 0) {
      sections.at(-1).text = `${sections.at(-1).text} ${plain([token])}`.replaceAll(/\s+/g, ' ').trim();
    } else if (token.type !== 'space' && token.type !== 'html') {
      throw new Error(`A page begins with its title, not with ${JSON.stringify(token.raw.slice(0, 40))}`);
    }
  }
  return sections;
}

/** The text of tokens, without their marks. */
function plain(tokens = []) {
  return tokens
    .map((token) => {
      if (token.type === 'table')
        return [token.header, ...token.rows].map((row) => row.map((cell) => plain(cell.tokens)).join(' ')).join(' ');
      if (token.type === 'list') return token.items.map((item) => plain(item.tokens)).join(' ');
      if (token.type === 'html') return '';
      if (token.tokens) return plain(token.tokens) + (token.type === 'paragraph' ? ' ' : '');
      return token.type === 'space'
        ? ' '
        : (token.text ?? '')
            .replaceAll('&amp;', '&')
            .replaceAll('&lt;', '<')
            .replaceAll('&gt;', '>')
            .replaceAll('&quot;', '"')
            .replaceAll('&#39;', "'");
    })
    .join('');
}
