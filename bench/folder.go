package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// folder is the data folder of a server that does not run, opened with the same
// code that the server opens it with. What would take hours to bring about over
// the network is written into it.
type folder struct {
	engine *local.Engine
	store  *store.Store
}

func openFolder(ctx context.Context, data string) (_ *folder, err error) {
	f := &folder{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open the data folder: %w", err), f.close())
		}
	}()
	logger := slog.New(slog.DiscardHandler)
	if f.engine, err = local.Open(ctx, local.Options{Dir: data, Logger: logger}); err != nil {
		return nil, err
	}
	key, err := store.LoadMasterKey(filepath.Join(data, "master.key"), false)
	if err != nil {
		return nil, err
	}
	sealer, err := store.NewSealer(key)
	if err != nil {
		return nil, err
	}
	f.store, err = store.Open(ctx, store.Options{Engine: f.engine, Sealer: sealer, Logger: logger})
	return f, err
}

func (f *folder) close() error {
	if f.store != nil {
		f.store.Close()
	}
	if f.engine != nil {
		return f.engine.Close()
	}
	return nil
}

// get returns a resource that must be there.
func (f *folder) get(id string) (*resource.Resource, error) {
	parsed, err := resource.ParseID(id)
	if err != nil {
		return nil, fmt.Errorf("find %s in the data folder: %w", id, err)
	}
	r, ok := f.store.Get(parsed)
	if !ok {
		return nil, fmt.Errorf("find %s in the data folder: it is not there", id)
	}
	return r, nil
}

// subscriptions returns the event subscriptions of a topic.
func (f *folder) subscriptions(topic resource.ID) []*resource.Resource {
	return f.store.List(topic.Type()+"/eventSubscriptions", topic)
}
