import { logTransactionsContract } from '../conformance/log-transactions.ts';
import { MemoryLog } from './memory-log.ts';

logTransactionsContract('in memory', async () => {
  const log = new MemoryLog();
  return {
    writer: log.writer,
    committed: async (topic, partition) => log.committed(topic, partition),
    close: () => Promise.resolve(),
  };
});
