// Package journal keeps committed entries in a storage extension of the Collector.
//
// A storage client has keys and values, and no way to list them. So the journal is an index and numbered records; a commit
// writes one record and then the index, in one batch. Compaction writes the state as records of the next generation, then
// the index that names this generation, then deletes the last one: whenever the process ends in between, the index names
// records that are whole.
package journal

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/faultline-project/faultline/plugin/opentelemetry-collector/internal/guest"
)

const (
	indexKey = "journal/index"
	// recordBytes is about how long a record of a compacted journal gets: some stores bound the size of a value.
	recordBytes = 1 << 20
	// appendedMin is how many records are appended at least before the journal is compacted, and
	appendedBytesMin = 64 << 10
	appendedMin      = 256
	// appendedMax how many at most: each is one read at the start.
	appendedMax = 4096
	// unreadableMax bounds the index. Storage that damages more than this is not fit to keep anything.
	unreadableMax = 256
	// unreadableKept is how long a damaged record is kept for whoever can repair it. What is in it is of no use to the plugin
	// when it is older than the horizon of 76 hours; this is well beyond.
	unreadableKept = 7 * 24 * time.Hour
	// deletedAtOnce is how many records one batch deletes.
	deletedAtOnce = 256
)

// Journal is for one goroutine at a time.
type Journal struct {
	client storage.Client
	logger *zap.Logger
	index  index
	// Since the last compaction.
	appended, appendedBytes int
	// Of the last compaction, or of everything that was read.
	compactedBytes int
}

// Open reads the journal that a storage client has, and gives its entries in the order of their commits; some may be there
// more than once. What is damaged is left out, logged, and kept for a week.
//
// It fails when the storage does, and when the index cannot be read: to begin anew would lose what is open.
func Open(ctx context.Context, client storage.Client, logger *zap.Logger, now time.Time) (*Journal, []guest.Entry, error) {
	text, err := client.Get(ctx, indexKey)
	if err != nil {
		return nil, nil, fmt.Errorf("the storage does not give %q: %w", indexKey, err)
	}
	found, err := decodeIndex(text)
	if err != nil {
		return nil, nil, fmt.Errorf("the index of the journal, %q in the storage, cannot be read: %w; "+
			"restore the storage, or start with an empty one", indexKey, err)
	}
	journal := &Journal{client: client, logger: logger, index: found}
	entries, err := journal.read(ctx, now)
	if err != nil {
		return nil, nil, err
	}
	if journal.index.Discard != nil {
		journal.discard(ctx)
	}
	return journal, entries, nil
}

func (j *Journal) read(ctx context.Context, now time.Time) ([]guest.Entry, error) {
	var entries []guest.Entry
	found := make([]unreadable, 0, len(j.index.Unreadable))
	for _, record := range j.index.Unreadable {
		readable, damage, err := j.readRecord(ctx, record.Key)
		switch {
		case err != nil:
			return nil, err
		case now.Sub(record.Found) > unreadableKept:
			j.logger.Warn("a damaged record of the journal is deleted: all in it is past the horizon", zap.String("key", record.Key))
			if err := j.client.Delete(ctx, record.Key); err != nil {
				return nil, fmt.Errorf("the storage does not delete %q: %w", record.Key, err)
			}
			continue
		case damage != nil:
			j.logger.Warn("a record of the journal is still damaged", zap.String("key", record.Key), zap.Error(damage))
		}
		entries = append(entries, readable...)
		found = append(found, record)
	}
	j.index.Unreadable = found
	for number := range j.index.Records {
		key := key(j.index.Generation, number)
		if j.index.isUnreadable(key) {
			continue
		}
		readable, damage, err := j.readRecord(ctx, key)
		if err != nil {
			return nil, err
		}
		if damage != nil {
			j.logger.Error("a record of the journal is damaged; it is kept, and what can be read of it is used",
				zap.String("key", key), zap.Int("entries_read", len(readable)), zap.Error(damage))
			j.index.Unreadable = append(j.index.Unreadable, unreadable{Key: key, Found: now.UTC()})
		}
		entries = append(entries, readable...)
	}
	if len(j.index.Unreadable) > unreadableMax {
		return nil, fmt.Errorf("%d records of the journal are damaged, more than %d: the storage is not fit to keep it; "+
			"restore it, or start with an empty one", len(j.index.Unreadable), unreadableMax)
	}
	return entries, nil
}

func (j *Journal) readRecord(ctx context.Context, key string) (entries []guest.Entry, damage, err error) {
	record, err := j.client.Get(ctx, key)
	if err != nil {
		return nil, nil, fmt.Errorf("the storage does not give %q: %w", key, err)
	}
	j.compactedBytes += len(record)
	entries, damage = decodeRecord(record)
	return entries, damage, nil
}

// Commit makes entries durable, as far as the storage promises that. When it fails they are not part of the journal.
func (j *Journal) Commit(ctx context.Context, entries []guest.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	record, next := encodeRecord(entries), j.index
	next.Records++
	key := key(next.Generation, j.index.Records)
	// The record first: a store whose batches are not atomic then has at worst a record that the index does not name.
	if err := j.client.Batch(ctx, storage.SetOperation(key, record), storage.SetOperation(indexKey, next.encode())); err != nil {
		return fmt.Errorf("the storage does not take %q: %w", key, err)
	}
	j.index = next
	j.appended++
	j.appendedBytes += len(record)
	return nil
}

// IsLong tells whether compaction would pay.
func (j *Journal) IsLong() bool {
	grown := j.appendedBytes >= max(j.compactedBytes, appendedBytesMin)
	return j.appended >= appendedMax || j.appended >= appendedMin && grown
}

// Compact puts the state in the place of all that was committed. When it fails the journal is as it was.
func (j *Journal) Compact(ctx context.Context, state []guest.Entry) error {
	next := index{
		Format:     indexFormat,
		Generation: j.index.Generation + 1,
		Discard:    &discarded{Generation: j.index.Generation, Records: j.index.Records},
		Unreadable: j.index.Unreadable,
	}
	bytes := 0
	for len(state) > 0 {
		record := []byte{recordFormat}
		for len(state) > 0 && len(record) < recordBytes {
			record, state = appendEntry(record, state[0]), state[1:]
		}
		key := key(next.Generation, next.Records)
		if err := j.client.Set(ctx, key, record); err != nil {
			return fmt.Errorf("the storage does not take %q: %w", key, err)
		}
		next.Records++
		bytes += len(record)
	}
	if j.index.Discard != nil {
		// It failed to be deleted before, and the index has room for one.
		if j.discard(ctx); j.index.Discard != nil {
			return fmt.Errorf("generation %d of the journal is still to be deleted", j.index.Discard.Generation)
		}
	}
	if err := j.client.Set(ctx, indexKey, next.encode()); err != nil {
		return fmt.Errorf("the storage does not take %q: %w", indexKey, err)
	}
	j.index, j.appended, j.appendedBytes, j.compactedBytes = next, 0, 0, bytes
	j.discard(ctx)
	return nil
}

// discard deletes the generation before, and leaves what it cannot delete to the next start or compaction.
func (j *Journal) discard(ctx context.Context) {
	last := j.index.Discard
	var operations []*storage.Operation
	flush := func() error {
		err := j.client.Batch(ctx, operations...)
		operations = operations[:0]
		return err
	}
	for number := range last.Records {
		key := key(last.Generation, number)
		if !j.index.isUnreadable(key) {
			operations = append(operations, storage.DeleteOperation(key))
		}
		if len(operations) == deletedAtOnce || number == last.Records-1 {
			if err := flush(); err != nil {
				j.logger.Warn("records that the journal no longer needs cannot be deleted now", zap.Error(err))
				return
			}
		}
	}
	// Written with the next commit.
	j.index.Discard = nil
}

// Close lets the storage client go.
func (j *Journal) Close(ctx context.Context) error {
	return j.client.Close(ctx)
}
