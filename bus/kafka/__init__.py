"""Everything that speaks to Kafka, apart from the Faust worker: clients, topics as code, brokers, snapshots."""
