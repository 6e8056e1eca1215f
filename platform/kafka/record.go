package kafka

import "time"

// Header is one header of a record.
type Header struct{ Key, Value string }

// Record is one entry of a topic. To be sent it needs a Topic, a Key and a
// Value; Partition and Offset are known only of what was read.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte // nil is Kafka's null, which is not the empty value
	Headers   []Header
	Time      time.Time
}

// Header returns the value of the last header of that name, or "" when there is none.
func (r Record) Header(key string) string {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return ""
}
