/** Pages of the listing site that hold nothing until their script has drawn them: what only a browser can read. */

/** `/browse?page=N` lists homes, `/browse/ID` shows one. */
export function drawnPage(path: string): string {
  const script = path === '/browse' ? listScript : detailScript;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Homes</title><main></main><script>${script}</script></html>`;
}

const common = `
const main = document.querySelector('main');
const add = (parent, name, properties = {}) => parent.appendChild(Object.assign(document.createElement(name), properties));
`;

const listScript = `${common}
const page = new URLSearchParams(location.search).get('page') ?? '1';
fetch('/api/pages?page=' + page).then((answer) => answer.json()).then(({ listings, next }) => {
  for (const { id, title } of listings)
    add(main, 'a', { className: 'card', href: '/browse/' + id + '?utm_source=list&page=' + page, textContent: title });
  if (next !== null) add(main, 'a', { className: 'next', href: '/browse?page=' + next, textContent: 'Next' });
  main.className = 'drawn';
});`;

/** Some listings are refused once, and some are not JSON at all; the page says so. */
const detailScript = `${common}
const ask = async (tries) => {
  const answer = await fetch('/api/listings/' + location.pathname.split('/')[2]);
  if (answer.status === 503 && tries > 0) return ask(tries - 1);
  return answer.json();
};
ask(2).then((home) => {
  const article = add(main, 'article', { className: 'home' });
  article.dataset.id = home.id ?? '';
  add(article, 'h1', { textContent: home.title });
  for (const name of ['price', 'address', 'bedrooms', 'tenure'])
    if (home[name] !== undefined) add(article, 'p', { className: name, textContent: home[name] });
  if (home.listed !== undefined) add(article, 'time', { dateTime: home.listed, textContent: home.listed.slice(0, 10) });
  for (const src of Array.isArray(home.pictures) ? home.pictures : []) add(article, 'img', { src, alt: '' });
  main.className = 'drawn';
}, (error) => {
  add(main, 'p', { className: 'broken', textContent: String(error) });
  main.className = 'drawn';
});`;
