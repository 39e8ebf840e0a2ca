"""One streaming query of a real Spark, for tests of what it leaves behind: its checkpoint, and rows as JSON files.

    python query.py '{"kind": "project", "brokers": "…", "topic": "…", "checkpoint": "…", "output": "…", "jars": "…"}'

project: a projection of the topic into JSON files. window: counts per minute, with a watermark, into JSON files.
fails: as project, and its second batch fails after some of its rows were written. files: reads JSON files, not Kafka.
union: two subscriptions. It reads what is there, at most `perTrigger` records a batch, and ends.
"""
import json
import os
import sys

from pyspark.sql import SparkSession, functions as F

settings = json.loads(sys.argv[1])
kind, topic, checkpoint, output = (settings[name] for name in ("kind", "topic", "checkpoint", "output"))

builder = SparkSession.builder.master("local[2]").appName(kind)
conf = {
    "spark.driver.memory": "700m",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.jars": settings["jars"],
    **settings.get("conf", {}),
}
for name, value in conf.items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
spark.sparkContext.setLogLevel("ERROR")


def subscribed(to):
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings["brokers"])
        .option("subscribe", to)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", settings.get("perTrigger", 10))
        .load()
    )


def users(stream):
    fields = "id STRING, at TIMESTAMP"
    return stream.select(F.from_json(F.col("value").cast("string"), fields).alias("user")).select("user.*")


def fail_at_second(batch, batch_id):
    batch.limit(3).write.mode("append").json(output)
    if batch_id == 1:
        raise RuntimeError("the sink is gone")


if kind == "files":
    stream = spark.readStream.schema("id STRING").json(settings["input"])
elif kind == "union":
    stream = users(subscribed(topic)).union(users(subscribed(settings["other"])))
elif kind == "window":
    stream = (
        users(subscribed(topic))
        .withWatermark("at", "30 seconds")
        .groupBy(F.window("at", "1 minute"))
        .count()
        .select(F.col("window.start").alias("minute"), F.col("count").alias("users"))
    )
else:
    stream = users(subscribed(topic))

writer = stream.writeStream.option("checkpointLocation", checkpoint).trigger(availableNow=True).queryName(kind)
if kind == "fails":
    query = writer.foreachBatch(fail_at_second).start()
else:
    query = writer.format("json").option("path", output).start()
try:
    query.awaitTermination()
except Exception as error:
    if kind != "fails":
        raise
spark.stop()
