package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/intertie/intertie/engine"
	"github.com/intertie/intertie/engine/cluster"
	"github.com/intertie/intertie/engine/folder"
	"github.com/intertie/intertie/engine/local"
	"github.com/intertie/intertie/store"
)

// ErrStorage is wrapped when the storage cannot keep its promises any more. The
// process must end at once: what is under way in it may never come back.
var ErrStorage = errors.New("the storage has failed")

// openStorage takes the data folder and opens the engine: the one in the folder, or
// the one in a cluster. Nothing in the folder is made or changed before it is known
// whether this is a first start.
func (a *App) openStorage(ctx context.Context, p *parts) (err error) {
	if p.folder, err = folder.Open(a.opts.Data); err != nil {
		return err
	}
	a.undo("data folder", func(context.Context) error { return p.folder.Close() })
	if a.opts.NATS != "" {
		p.engine, err = cluster.Open(ctx, cluster.Options{
			URL: a.opts.NATS, Replicas: a.opts.Replicas, Logger: a.logger, Now: a.clock.Now, Tiers: a.opts.tiers(),
		})
	} else {
		p.engine, err = local.Open(ctx, local.Options{
			Dir: a.opts.Data, Logger: a.logger, Registerer: p.registry, Now: a.clock.Now, AcceptLoss: a.opts.AcceptLoss,
		})
	}
	if err != nil {
		return err
	}
	a.undo("storage", func(context.Context) error { return p.engine.Close() })
	a.supervise(ctx, "storage", func(ctx context.Context) error {
		select {
		case <-p.engine.Failed():
			return fmt.Errorf("%w: %w", ErrStorage, p.engine.Err())
		case <-ctx.Done():
			return nil
		}
	})
	fresh, err := p.engine.Fresh(ctx)
	if err != nil {
		return err
	}
	p.fresh = fresh
	p.established, err = firstStart(p.folder, fresh, a.opts.MasterKeyFile, a.logger)
	return err
}

// sealer loads the master key. One in the data folder is made at the first
// start and never again: with another key the secrets would stay closed.
func (a *App) sealer(fresh bool) (*store.Sealer, error) {
	path, create := a.opts.MasterKeyFile, false
	if path == "" {
		path, create = filepath.Join(a.opts.Data, masterKeyName), fresh
	}
	key, err := store.LoadMasterKey(path, create)
	if err != nil {
		return nil, err
	}
	return store.NewSealer(key)
}

var _ engine.Engine = (*local.Engine)(nil)
