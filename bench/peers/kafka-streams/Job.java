import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.zip.CRC32;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyWindowStore;
import org.apache.kafka.streams.state.Stores;

/**
 * One topology of a bench. Settings are `name=value` arguments; JSON lines on stdout, words on stdin: `go` starts the
 * topology, `exit` ends.
 */
public final class Job {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final LongAdder READ = new LongAdder();
  private static final LongAdder COUNTED = new LongAdder();
  private static final LongAdder ROWS = new LongAdder();
  private static final AtomicLong CRC = new AtomicLong();

  public static void main(String[] args) throws Exception {
    var settings = new java.util.HashMap<String, String>();
    for (String arg : args) {
      int at = arg.indexOf('=');
      settings.put(arg.substring(0, at), arg.substring(at + 1));
    }
    var properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, settings.get("application"));
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, settings.get("brokers"));
    properties.put(StreamsConfig.STATE_DIR_CONFIG, settings.get("state"));
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, "2");
    properties.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    properties.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
    properties.put("auto.offset.reset", settings.getOrDefault("from", "earliest"));
    properties.put("max.poll.records", "5000");
    properties.put("fetch.max.bytes", String.valueOf(50 << 20));
    properties.put("max.partition.fetch.bytes", String.valueOf(4 << 20));
    properties.put("producer.compression.type", "none");
    boolean latency = settings.get("bench").equals("latency");
    properties.put("producer.linger.ms", latency ? "0" : "5");
    properties.put("producer.batch.size", String.valueOf(128 * 1024));
    if (settings.containsKey("guarantee")) properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, settings.get("guarantee"));
    if (latency) properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, "0");
    say("ready", "");
    long records = Long.parseLong(settings.getOrDefault("records", "0"));
    var in = new BufferedReader(new InputStreamReader(System.in));
    KafkaStreams streams = null;
    for (String line = in.readLine(); line != null && !line.equals("exit"); line = in.readLine()) {
      if (!line.equals("go")) continue;
      streams = new KafkaStreams(topology(settings).build(), properties);
      streams.setUncaughtExceptionHandler(
          error -> {
            say("failed", ",\"message\":" + quoted(String.valueOf(error)));
            return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
          });
      streams.start();
      say("started", "");
      if (settings.get("bench").equals("count")) followCounted(streams, records, Long.parseLong(settings.get("passed")));
      else if (records > 0) follow(records);
    }
    if (streams != null) streams.close(Duration.ofSeconds(5));
    System.exit(0);
  }

  private static void follow(long records) throws InterruptedException {
    long told = 0;
    for (long read = READ.sum(); read < records; read = READ.sum()) {
      if (read > told) say("progress", ",\"read\":" + (told = read));
      Thread.sleep(50);
    }
    say("done", ",\"read\":" + READ.sum() + ",\"rows\":" + ROWS.sum() + ",\"crc\":" + CRC.get());
  }

  /** A user is through when it is counted, behind the topic between the two parts; then the groups are looked at. */
  private static void followCounted(KafkaStreams streams, long records, long passed) throws InterruptedException {
    long told = 0;
    for (long counted = COUNTED.sum(); counted < passed; counted = COUNTED.sum()) {
      long read = (long) ((double) counted / passed * records);
      if (read > told) say("progress", ",\"read\":" + (told = read));
      Thread.sleep(50);
    }
    ReadOnlyWindowStore<Integer, long[]> counts =
        streams.store(StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.<Integer, long[]>windowStore()));
    long groups = 0;
    long all = 0;
    say("done", ",\"read\":" + records);
    try (var groupsOf = counts.all()) {
      while (groupsOf.hasNext()) {
        var group = groupsOf.next();
        var crc = new CRC32();
        String text = group.key.window().start() + "|" + group.key.key() + "|" + group.value[0] + "|" + group.value[1];
        crc.update(text.getBytes(StandardCharsets.UTF_8));
        all ^= crc.getValue();
        groups++;
      }
    }
    say("checked", ",\"rows\":" + groups + ",\"crc\":" + all);
  }

  /** Keys a user by the post code and gives it the registration's time. */
  private static final class ByRegistration extends ContextualProcessor<byte[], JsonNode, Integer, Long> {
    @Override
    public void process(Record<byte[], JsonNode> record) {
      long time = Instant.parse(record.value().path("registered_date").asText()).toEpochMilli();
      context().forward(new Record<>(record.value().path("post_code").asInt(), time, time));
    }
  }

  private static StreamsBuilder topology(Map<String, String> settings) {
    var builder = new StreamsBuilder();
    KStream<byte[], byte[]> source = builder.stream(settings.get("topic"), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()));
    KStream<byte[], JsonNode> parsed = source.mapValues(value -> { READ.increment(); return parse(value); });
    switch (settings.get("bench")) {
      case "noop" -> parsed.filter((key, user) -> !user.path("post_code").isNull()).foreach((key, user) -> project(user));
      case "kafka" ->
          parsed
              .filter((key, user) -> !user.path("post_code").isNull())
              .mapValues(
                  user -> {
                    ((ObjectNode) user).put("last_name", user.path("last_name").asText().toUpperCase());
                    return bytes(user);
                  })
              .to(settings.get("output"));
      case "count" ->
          parsed
              .filter((key, user) -> !user.path("post_code").isNull())
              .process(() -> new ByRegistration())
              .groupByKey(Grouped.with(Serdes.Integer(), Serdes.Long()))
              // Source partitions are read at different paces here, so what the others call late is not yet late.
              .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(10), Duration.ofHours(1)))
              .aggregate(
                  () -> new long[] {0, 0},
                  (code, time, sum) -> {
                    COUNTED.increment();
                    return new long[] {sum[0] + 1, Math.max(sum[1], time)};
                  },
                  Materialized.<Integer, long[]>as(Stores.inMemoryWindowStore("counts", Duration.ofHours(2), Duration.ofSeconds(10), false))
                      .withKeySerde(Serdes.Integer())
                      .withValueSerde(pair()))
              .toStream()
              .foreach((window, sum) -> ROWS.increment());
      case "latency" -> latency(parsed, settings).to(settings.get("output"), Produced.with(Serdes.String(), Serdes.ByteArray()));
      default -> throw new IllegalArgumentException(settings.get("bench"));
    }
    return builder;
  }

  private static KStream<String, byte[]> latency(KStream<byte[], JsonNode> parsed, Map<String, String> settings) {
    KStream<String, long[]> keyed = parsed.map((key, row) -> KeyValue.pair(row.path("k").asText(), new long[] {row.path("v").asLong(), row.path("sent").asLong()}));
    return switch (settings.get("shape")) {
      case "stateless" -> keyed.filter((key, value) -> value[0] >= 0).map((key, value) -> KeyValue.pair(key, output(key, value)));
      case "window" ->
          keyed
              .groupByKey(Grouped.with(Serdes.String(), pair()))
              .windowedBy(TimeWindows.ofSizeWithNoGrace(Duration.ofMinutes(1)))
              .aggregate(() -> new long[] {0, 0}, (key, value, sum) -> new long[] {sum[0] + 1, Math.max(sum[1], value[1])},
                  Materialized.<String, long[]>as(Stores.inMemoryWindowStore("counts", Duration.ofMinutes(2), Duration.ofMinutes(1), false))
                      .withKeySerde(Serdes.String()).withValueSerde(pair()))
              .toStream()
              .map((window, sum) -> KeyValue.pair(window.key(), output(window.key(), sum, ",\"w\":" + window.window().start())));
      case "state" ->
          keyed
              .groupByKey(Grouped.with(Serdes.String(), pair()))
              .aggregate(() -> new long[] {0, 0}, (key, value, sum) -> new long[] {sum[0] + 1, Math.max(sum[1], value[1])},
                  Materialized.<String, long[]>as(Stores.inMemoryKeyValueStore("state")).withKeySerde(Serdes.String()).withValueSerde(pair()))
              .toStream()
              .map((key, sum) -> KeyValue.pair(key, output(key, sum)));
      default -> throw new IllegalArgumentException(settings.get("shape"));
    };
  }

  private static byte[] output(String key, long[] value) {
    return output(key, value, "");
  }

  private static byte[] output(String key, long[] value, String more) {
    return ("{\"k\":\"" + key + "\",\"v\":" + value[0] + ",\"sent\":" + value[1] + more + "}").getBytes(StandardCharsets.UTF_8);
  }

  private static Serde<long[]> pair() {
    return Serdes.serdeFrom(
        (topic, value) -> value == null ? null : ByteBuffer.allocate(16).putLong(value[0]).putLong(value[1]).array(),
        (topic, bytes) -> {
          if (bytes == null) return null;
          var buffer = ByteBuffer.wrap(bytes);
          return new long[] {buffer.getLong(), buffer.getLong()};
        });
  }

  private static void project(JsonNode user) {
    String text = user.path("id").asText() + "|" + user.path("first_name").asText() + "|" + user.path("last_name").asText()
        + "|" + user.path("post_code").asInt() + "|" + user.path("email").asText();
    var crc = new CRC32();
    crc.update(text.getBytes(StandardCharsets.UTF_8));
    long value = crc.getValue();
    CRC.accumulateAndGet(value, (a, b) -> a ^ b);
    ROWS.increment();
  }

  private static JsonNode parse(byte[] value) {
    try {
      return JSON.readTree(value);
    } catch (java.io.IOException error) {
      throw new java.io.UncheckedIOException(error);
    }
  }

  private static byte[] bytes(JsonNode node) {
    try {
      return JSON.writeValueAsBytes(node);
    } catch (java.io.IOException error) {
      throw new java.io.UncheckedIOException(error);
    }
  }

  private static String quoted(String text) {
    return JSON.getNodeFactory().textNode(text).toString();
  }

  private static synchronized void say(String event, String more) {
    System.out.println("{\"event\":\"" + event + "\"" + more + "}");
    System.out.flush();
  }
}
