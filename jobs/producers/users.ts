/** Random users into `users_created`, as a registration service would announce them. */
import { defineProducer, paced } from '../../sdk/producer.ts';
import { UserGenerator } from './random-user.ts';

export default defineProducer({
  name: 'users',
  topic: 'users_created',
  partitions: 4,
  defaultRate: 200,
  async run(context) {
    const users = new UserGenerator(context.args.seed);
    await paced(context, (count, firstIndex) =>
      context.send(
        'users_created',
        Array.from({ length: count }, (_, index) => users.bytesAt(firstIndex + index)),
      ),
    );
  },
});
