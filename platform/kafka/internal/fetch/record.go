package fetch

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"example.com/todo/platform/kafka"
	"example.com/todo/platform/kafka/internal/client"
)

// maxBatchEntries bounds the records and headers of one batch. A header without text
// takes two bytes of it, so a small batch could hold a partition for minutes.
const maxBatchEntries = 4 << 20

// headerMemory is the memory of a kafka.Header without its text: two strings.
const headerMemory = 32

// encodedRecord is a record as a batch has it.
type encodedRecord struct {
	timeDelta   int64 // in ms, from the batch's first time
	offsetDelta int64 // from the batch's first offset
	key, value  []byte
	headerCount int64
	headers     []byte
}

// readRecords calls visit for each of the records, behind which the source must end.
func readRecords(source *bufio.Reader, count int32, visit func(encodedRecord) error) error {
	if count < 0 {
		return errWrongLength
	}
	var buffer []byte
	entries := int64(count)
	for range count {
		length, err := binary.ReadVarint(source)
		if err != nil {
			return err
		}
		if length < 0 || length > client.MaxUnpackedBytes {
			return errWrongLength
		}
		buffer = slices.Grow(buffer[:0], int(length))[:length]
		if _, err := io.ReadFull(source, buffer); err != nil {
			return err
		}
		record, err := parseRecord(buffer)
		if err != nil {
			return err
		}
		if entries += record.headerCount; entries > maxBatchEntries {
			return errTooManyEntries
		}
		if err := visit(record); err != nil {
			return err
		}
	}
	if _, err := source.ReadByte(); !errors.Is(err, io.EOF) {
		return errWrongLength
	}
	return nil
}

func parseRecord(encoded []byte) (r encodedRecord, err error) {
	const attributes = 1
	f := fields{rest: encoded[min(attributes, len(encoded)):]}
	r.timeDelta = f.varint()
	r.offsetDelta = f.varint()
	r.key = f.bytes()
	r.value = f.bytes()
	r.headerCount = f.varint()
	r.headers = f.rest
	// The shortest header has two bytes.
	if r.headerCount < 0 || r.headerCount > int64(len(r.headers)/2) {
		f.err = errWrongLength
	}
	return r, f.err
}

// memory is what the record's contents need once they are copied.
func (r encodedRecord) memory() int64 {
	return int64(len(r.key)+len(r.value)+len(r.headers)) + r.headerCount*headerMemory
}

// copyHeaders runs for every record, so it allocates twice: for the headers, and for the
// text of all.
func (r encodedRecord) copyHeaders() ([]kafka.Header, error) {
	f := fields{rest: r.headers}
	all := string(r.headers)
	text := func() string {
		size := len(f.bytes())
		end := len(all) - len(f.rest)
		return all[end-size : end]
	}
	headers := slices.Grow([]kafka.Header(nil), int(r.headerCount))
	for range r.headerCount {
		headers = append(headers, kafka.Header{Key: text(), Value: text()})
	}
	if len(f.rest) > 0 {
		f.err = errWrongLength
	}
	return headers, f.err
}

// fields reads the fields of a record one after another. After an error they are zero.
type fields struct {
	rest []byte
	err  error
}

func (f *fields) varint() int64 {
	number, size := binary.Varint(f.rest)
	if size <= 0 {
		f.err, f.rest = errWrongLength, nil
		return 0
	}
	f.rest = f.rest[size:]
	return number
}

// bytes returns the next bytes, whose number is in front of them; -1 stands for nil.
func (f *fields) bytes() []byte {
	length := f.varint()
	if length > int64(len(f.rest)) {
		f.err, f.rest = errWrongLength, nil
	}
	if length < 0 || f.err != nil {
		return nil
	}
	part := f.rest[:length]
	f.rest = f.rest[length:]
	return part
}
