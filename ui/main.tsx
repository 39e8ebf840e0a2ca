/** The page begins here. */
import { render } from 'preact';
import { learnCaller } from './access.ts';
import { App } from './app.tsx';
import { start } from './live.ts';

const root = document.getElementById('app');
if (root !== null) {
  root.replaceChildren();
  render(<App />, root);
  learnCaller();
  start();
}
