package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

// A record is what one call of the storage client keeps: a byte with the format, then entries. An entry is
//
//	uvarint length of its key · uvarint length of its bytes · CRC-32C of both, little endian · key · bytes
//
// so that one damaged entry is told from those before and behind it.

// recordFormat is the first byte of every record that this version writes.
const recordFormat = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendEntry appends one entry to a record.
func appendEntry(record []byte, entry guest.Entry) []byte {
	record = binary.AppendUvarint(record, uint64(len(entry.Key)))
	record = binary.AppendUvarint(record, uint64(len(entry.Bytes)))
	record = binary.LittleEndian.AppendUint32(record, checksum([]byte(entry.Key), entry.Bytes))
	record = append(record, entry.Key...)
	return append(record, entry.Bytes...)
}

func encodeRecord(entries []guest.Entry) []byte {
	record := []byte{recordFormat}
	for _, entry := range entries {
		record = appendEntry(record, entry)
	}
	return record
}

// decodeRecord gives the entries that can be read, in their order, and an error that tells of the first that cannot. The
// entries do not share memory with the record, which belongs to the storage client.
func decodeRecord(record []byte) (entries []guest.Entry, damage error) {
	if len(record) == 0 {
		return nil, fmt.Errorf("it is missing or empty")
	}
	if record[0] != recordFormat {
		return nil, fmt.Errorf("it has format %d, and this version reads format %d", record[0], recordFormat)
	}
	rest := record[1:]
	for number := 0; len(rest) > 0; number++ {
		entry, size, err := decodeEntry(rest)
		if err != nil && damage == nil {
			damage = fmt.Errorf("entry %d, at byte %d: %w", number, len(record)-len(rest), err)
		}
		if size == 0 {
			break
		}
		if err == nil {
			entries = append(entries, entry)
		}
		rest = rest[size:]
	}
	return entries, damage
}

// decodeEntry reads the entry that record begins with. Size is 0 when not even its end can be told.
func decodeEntry(record []byte) (entry guest.Entry, size int, err error) {
	keyLength, keyPrefix := binary.Uvarint(record)
	if keyPrefix <= 0 {
		return entry, 0, fmt.Errorf("it is cut short")
	}
	bytesLength, bytesPrefix := binary.Uvarint(record[keyPrefix:])
	if bytesPrefix <= 0 {
		return entry, 0, fmt.Errorf("it is cut short")
	}
	rest := record[keyPrefix+bytesPrefix:]
	const sumLength = 4
	// Compared one by one: damaged lengths must not overflow their sum.
	if len(rest) < sumLength || keyLength > uint64(len(rest)-sumLength) ||
		bytesLength > uint64(len(rest)-sumLength)-keyLength {
		return entry, 0, fmt.Errorf("it is cut short")
	}
	sum, rest := binary.LittleEndian.Uint32(rest), rest[sumLength:]
	key, bytes := rest[:keyLength], rest[keyLength:keyLength+bytesLength]
	size = keyPrefix + bytesPrefix + sumLength + len(key) + len(bytes)
	if checksum(key, bytes) != sum {
		return entry, size, fmt.Errorf("its checksum does not fit")
	}
	return guest.Entry{Key: string(key), Bytes: append([]byte(nil), bytes...)}, size, nil
}

func checksum(key, bytes []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, bytes)
}
