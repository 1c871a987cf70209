package faultlineextension_test

import (
	"context"
	"errors"
	"maps"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
)

// memoryStorage is a storage extension whose content outlives the components that use it, and that can be made to fail.
type memoryStorage struct {
	component.StartFunc
	component.ShutdownFunc

	mutex   sync.Mutex
	content map[string][]byte
	failing bool
	// writes counts calls that changed something.
	writes int
	open   int
}

var errStorage = errors.New("no space left on device")

func newMemoryStorage() *memoryStorage { return &memoryStorage{content: map[string][]byte{}} }

func (s *memoryStorage) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.open++
	return &memoryClient{s}, nil
}

func (s *memoryStorage) fail(failing bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.failing = failing
}

// kept is what is there now.
func (s *memoryStorage) kept() map[string][]byte {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return maps.Clone(s.content)
}

func (s *memoryStorage) put(key string, value []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.content[key] = value
}

type memoryClient struct{ storage *memoryStorage }

func (c *memoryClient) Get(ctx context.Context, key string) ([]byte, error) {
	operation := storage.GetOperation(key)
	err := c.Batch(ctx, operation)
	return operation.Value, err
}

func (c *memoryClient) Set(ctx context.Context, key string, value []byte) error {
	return c.Batch(ctx, storage.SetOperation(key, value))
}

func (c *memoryClient) Delete(ctx context.Context, key string) error {
	return c.Batch(ctx, storage.DeleteOperation(key))
}

func (c *memoryClient) Batch(_ context.Context, operations ...*storage.Operation) error {
	c.storage.mutex.Lock()
	defer c.storage.mutex.Unlock()
	if c.storage.failing {
		return errStorage
	}
	for _, operation := range operations {
		switch operation.Type {
		case storage.Get:
			operation.Value = c.storage.content[operation.Key]
		case storage.Set:
			c.storage.content[operation.Key] = append([]byte(nil), operation.Value...)
			c.storage.writes++
		case storage.Delete:
			delete(c.storage.content, operation.Key)
			c.storage.writes++
		}
	}
	return nil
}

func (c *memoryClient) Close(context.Context) error {
	c.storage.mutex.Lock()
	defer c.storage.mutex.Unlock()
	c.storage.open--
	return nil
}
