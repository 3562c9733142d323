package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// namesAtOnce bounds the records that one transaction of bindNames or
// removeImpostors changes.
const namesAtOnce = 100

// bindNames brings what earlier versions have stored of partner names to the form
// that [eventgrid.UnboundNames] misses. There is nothing to do from then on.
func bindNames(ctx context.Context, st *store.Store, now time.Time) error {
	for ids := range slices.Chunk(eventgrid.UnboundNames(st), namesAtOnce) {
		err := st.Commit(ctx, func(tx resource.Tx) error {
			for _, id := range ids {
				if err := eventgrid.BindNames(tx, id, now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("bind the names of partners: %w", err)
		}
	}
	return nil
}
