"""One streaming query of a bench. Reads its settings as JSON from the first argument, talks in JSON lines on stdout and
does what lines on stdin say: `go` starts the query, `check` computes the answer once more in batch, `exit` ends."""

import json
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

settings = json.loads(sys.argv[1])


def say(event, **more):
    sys.stdout.write(json.dumps({"event": event, **more}) + "\n")
    sys.stdout.flush()


builder = SparkSession.builder.master("local[2]")
for key, value in settings["conf"].items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")

USERS = """id STRING, first_name STRING, last_name STRING, gender STRING, address STRING, post_code INT, email STRING,
  username STRING, dob TIMESTAMP, registered_date TIMESTAMP, phone STRING, picture STRING"""


def topic(reader):
    return (
        reader.format("kafka")
        .option("kafka.bootstrap.servers", settings["brokers"])
        .option("subscribe", settings["topic"])
        .option("startingOffsets", settings.get("startingOffsets", "earliest"))
    )


def stream():
    reader = topic(spark.readStream)
    if settings.get("maxOffsetsPerTrigger"):
        reader = reader.option("maxOffsetsPerTrigger", settings["maxOffsetsPerTrigger"])
    return reader.load()


def parsed(records, schema=USERS):
    return records.select(f.from_json(f.col("value").cast("string"), schema).alias("u")).select("u.*")


def noop(users):
    return users.where("post_code IS NOT NULL").select("id", "first_name", "last_name", "post_code", "email")


def counted(users):
    return users.groupBy(f.window("registered_date", "10 seconds").alias("w"), "post_code").agg(
        f.count(f.lit(1)).alias("n"), f.max("registered_date").alias("newest")
    )


def created_users(users):
    return users.where("post_code IS NOT NULL").select(
        "id", "first_name", f.upper("last_name").alias("last_name"), "gender", "address", "post_code", "email",
        "username", "dob", "registered_date", "phone", "picture",
    )


def answer(rows, columns):
    """Number of rows and xor of the CRC-32 of their values, joined by `|`."""
    text = f.concat_ws("|", *[f.col(column).cast("string") for column in columns])
    crcs = rows.select(f.crc32(text.cast("binary")).alias("crc"))
    row = crcs.agg(f.count(f.lit(1)).alias("rows"), f.expr("bit_xor(crc)").alias("crc")).collect()[0]
    return {"rows": row["rows"], "crc": row["crc"]}


def start():
    bench = settings["bench"]
    writer = None
    if bench == "noop":
        writer = noop(parsed(stream())).writeStream.format("noop")
    elif bench == "count":
        users = parsed(stream()).where("post_code IS NOT NULL").withWatermark("registered_date", "20 seconds")
        writer = counted(users).writeStream.outputMode("update").format("noop")
    elif bench == "kafka":
        rows = created_users(parsed(stream()))
        out = rows.select(f.col("id").alias("key"), f.to_json(f.struct(*rows.columns)).alias("value"))
        writer = (
            out.writeStream.format("kafka")
            .option("kafka.bootstrap.servers", settings["brokers"])
            .option("topic", settings["output"])
            .option("kafka.compression.type", settings["compression"])
            .option("kafka.linger.ms", "5")
            .option("kafka.batch.size", str(128 * 1024))
        )
    elif bench == "cassandra":
        writer = (
            created_users(parsed(stream()))
            .writeStream.format("org.apache.spark.sql.cassandra")
            .option("keyspace", settings["keyspace"])
            .option("table", settings["table"])
            .outputMode("append")
        )
    elif bench == "latency":
        writer = latency()
    else:
        raise ValueError(bench)
    return writer.option("checkpointLocation", settings["checkpoint"]).start()


def latency():
    shape = settings["shape"]
    rows = parsed(stream(), "k STRING, v BIGINT, ts TIMESTAMP, sent BIGINT")
    columns = ["k", "v", "sent"]
    mode = "append"
    if shape == "stateless":
        rows = rows.where("v >= 0")
    elif shape == "window":
        rows = rows.withWatermark("ts", "10 seconds").groupBy(f.window("ts", "1 minute").alias("w"), "k").agg(
            f.count(f.lit(1)).alias("v"), f.max("sent").alias("sent")
        )
        rows = rows.withColumn("w", f.unix_millis("w.start"))
        columns.append("w")
        mode = "update"
    elif shape == "dedup":
        rows = rows.withWatermark("ts", "10 seconds").dropDuplicates(["k", "ts"])
    elif shape == "state":
        rows = rows.groupBy("k").agg(f.count(f.lit(1)).alias("v"), f.max("sent").alias("sent"))
        mode = "update"
    else:
        raise ValueError(shape)
    return (
        rows.select(f.col("k").alias("key"), f.to_json(f.struct(*columns)).alias("value"))
        .writeStream.outputMode(mode)
        .format("kafka")
        .option("kafka.bootstrap.servers", settings["brokers"])
        .option("topic", settings["output"])
    )


def follow(query):
    """Tells of every micro-batch as it ends, until `records` are through."""
    read = seen = 0
    while read < settings["records"]:
        progress = query._jsq.recentProgress()
        for at in range(seen, len(progress)):
            rows = progress[at].numInputRows()
            read += rows
            if rows > 0:
                say("progress", read=read)
        seen = len(progress)
        if not query.isActive:
            say("failed", message=str(query.exception()))
            return
        time.sleep(0.05)
    last = query.lastProgress
    say("done", read=read, state=[dict(operator) for operator in last["stateOperators"]] if last else [])


def check():
    users = parsed(topic(spark.read).load())
    if settings["bench"] == "noop":
        say("checked", **answer(noop(users), ["id", "first_name", "last_name", "post_code", "email"]))
    elif settings["bench"] == "count":
        rows = counted(users.where("post_code IS NOT NULL")).select(
            f.unix_millis("w.start").alias("start"), "post_code", "n", f.unix_millis("newest").alias("newest")
        )
        say("checked", **answer(rows, ["start", "post_code", "n", "newest"]))
    else:
        say("checked")


say("ready")
query = None
for line in sys.stdin:
    word = line.strip()
    if word == "go":
        query = start()
        say("started")
        if settings["records"] > 0:
            follow(query)
    elif word == "check":
        if query is not None:
            query.stop()
            query = None
        check()
    elif word == "exit":
        break
if query is not None:
    query.stop()
spark.stop()
