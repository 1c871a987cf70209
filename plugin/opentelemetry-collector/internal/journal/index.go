package journal

import (
	"encoding/json"
	"fmt"
	"time"
)

// indexFormat is the format of the index that this version writes, and the greatest that it reads.
const indexFormat = 1

// index tells which records there are: a storage client cannot list its keys.
type index struct {
	// Format is [indexFormat].
	Format int `json:"format"`
	// Generation counts compactions. Records of another generation are not part of the journal.
	Generation uint64 `json:"generation"`
	// Records of this generation have the numbers from 0 up to this one, without it.
	Records uint64 `json:"records"`
	// Discard is the generation that this one has taken the place of, while some of it may be left.
	Discard *discarded `json:"discard,omitempty"`
	// Unreadable records, of whichever generation.
	Unreadable []unreadable `json:"unreadable,omitempty"`
}

// discarded is a generation whose records are to be deleted.
type discarded struct {
	Generation uint64 `json:"generation"`
	Records    uint64 `json:"records"`
}

// unreadable is a record that was damaged when it was read.
type unreadable struct {
	Key   string    `json:"key"`
	Found time.Time `json:"found"`
}

func (i index) encode() []byte {
	// It has nothing in it that JSON cannot hold.
	text, _ := json.Marshal(i)
	return text
}

// decodeIndex reads an index. An absent one is that of an empty journal.
func decodeIndex(text []byte) (index, error) {
	if len(text) == 0 {
		return index{Format: indexFormat, Generation: 1}, nil
	}
	var found index
	if err := json.Unmarshal(text, &found); err != nil {
		return index{}, fmt.Errorf("it is no JSON: %w", err)
	}
	if found.Format != indexFormat {
		return index{}, fmt.Errorf("it has format %d, and this version reads format %d", found.Format, indexFormat)
	}
	return found, nil
}

// key is where a record is kept.
func key(generation, number uint64) string {
	return fmt.Sprintf("journal/%d/%d", generation, number)
}

// isUnreadable tells whether the record of that key is one of those that could not be read.
func (i index) isUnreadable(key string) bool {
	for _, record := range i.Unreadable {
		if record.Key == key {
			return true
		}
	}
	return false
}
