/** What `npm start -- …` takes, as commander gives it. */
export interface DevOptions {
  readonly data?: string;
  readonly rate: string;
  readonly workers: string;
  readonly producers: boolean;
  readonly jobs: boolean;
  readonly port: string;
  readonly grpcPort: string;
  readonly embeddedPort: string;
  readonly seed?: string;
  readonly token?: string;
}
