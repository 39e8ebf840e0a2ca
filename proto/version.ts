/** Version of the messages between worker and master. A master refuses workers that speak another. */
export const PROTOCOL_VERSION = 1;
