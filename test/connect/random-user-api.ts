/** An HTTP API in the shape of randomuser.me's, version 1.4, for pipelines: people by the number, the same in every answer. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RandomUserApi {
  /** Without a slash at the end. */
  readonly url: string;
  /** People in an answer; tests make it grow. */
  count: number;
  /** Statuses that the next requests are answered with instead. */
  readonly faults: number[];
  close(): Promise<void>;
}

/** What tests expect of a person; NULL where the API has none. */
export interface ExpectedPerson {
  readonly id: string;
  readonly first: string;
  readonly last: string;
  readonly gender: string;
  readonly email: string | null;
  readonly city: string;
  readonly country: string;
  readonly born: string;
  readonly registered: string;
  readonly picture: string;
}

const firstNames = ['Ada', 'Noël', 'Ingrid', 'Søren', 'Łucja', 'Amélie', 'Bao', 'محمد'];
const lastNames = ['Ødegård', 'Smith', 'García', 'O’Neill', 'Straße', 'Nakamura', 'Ivanov'];
const places = [
  ['Bergen', 'Norway'],
  ['Sevilla', 'Spain'],
  ['São Paulo', 'Brazil'],
  ['Zürich', 'Switzerland'],
] as const;

/** The person with a number. */
export function expectedPerson(number: number): ExpectedPerson {
  const [city = '', country = ''] = places[number % places.length] ?? [];
  const hex = number.toString(16).padStart(12, '0');
  return {
    id: `0c9f8b1e-5d1a-4c6e-9a3f-${hex}`,
    first: firstNames[number % firstNames.length] ?? '',
    last: lastNames[number % lastNames.length] ?? '',
    gender: number % 2 === 0 ? 'female' : 'male',
    email: number % 11 === 3 ? null : `person${number}@example.com`,
    city,
    country,
    born: new Date(Date.UTC(1950, 0, 1) + number * 97_531_246_801).toISOString(),
    registered: new Date(Date.UTC(2012, 0, 1) + number * 1_234_567).toISOString(),
    picture: `https://randomuser.example/api/portraits/med/${number}.jpg`,
  };
}

/** Serves `/api/`; on loopback and a port of the system's choice, unless `listen` says otherwise. */
export async function startRandomUserApi(
  count: number,
  listen: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 },
): Promise<RandomUserApi> {
  const state = { count };
  const faults: number[] = [];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api');
    const status = faults.shift() ?? (pathname === '/api/' ? 200 : 404);
    if (status !== 200) {
      response.writeHead(status, { 'retry-after': '0' }).end('{"error":"Uh oh, something has gone wrong."}');
      return;
    }
    const results = Array.from({ length: state.count }, (_, number) => documentOf(expectedPerson(number)));
    const info = { seed: searchParams.get('seed'), results: results.length, page: 1, version: '1.4' };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ results, info }));
  });
  server.listen(listen);
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    get count() {
      return state.count;
    },
    set count(people) {
      state.count = people;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function documentOf(person: ExpectedPerson): unknown {
  const { id, first, last, gender, email, city, country, born, registered, picture } = person;
  return {
    gender,
    name: { title: gender === 'female' ? 'Ms' : 'Mr', first, last },
    location: { street: { number: 7, name: 'Main "Street"' }, city, state: city, country, postcode: 1234 },
    email,
    login: { uuid: id, username: `user${id.slice(-4)}`, password: 'hunter2', salt: 'x', md5: 'y' },
    dob: { date: born, age: 40 },
    registered: { date: registered, age: 3 },
    phone: '015242 12345',
    id: { name: 'NINO', value: null },
    picture: { large: picture, medium: picture, thumbnail: picture },
    nat: 'NO',
  };
}
