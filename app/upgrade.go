package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// upgrade brings what earlier versions have stored to the form of this one. Each part
// finds nothing to do from then on.
func upgrade(ctx context.Context, st *store.Store, now time.Time, logger *slog.Logger) error {
	found := impostors(st)
	remove := func(tx resource.Tx, id resource.ID) error { resource.DeleteWhole(tx, id); return nil }
	if err := inParts(ctx, st, found, remove); err != nil {
		return fmt.Errorf("remove records of types that are this server's own: %w", err)
	}
	for _, id := range found {
		logger.Warn("a record was removed that a client had made of a type of this server's own", "id", id)
	}
	bind := func(tx resource.Tx, id resource.ID) error { return eventgrid.BindNames(tx, id, now) }
	if err := inParts(ctx, st, eventgrid.UnboundNames(st), bind); err != nil {
		return fmt.Errorf("bind the names of partners: %w", err)
	}
	return nil
}

// claimAudiences registers the applications that stored event subscriptions and
// channels name, where nobody has done so. There is nothing to do from then on.
func claimAudiences(ctx context.Context, st *store.Store, now time.Time) error {
	claim := func(tx resource.Tx, id resource.ID) error { return eventgrid.ClaimAudience(tx, id, now) }
	if err := inParts(ctx, st, eventgrid.UnclaimedAudiences(st), claim); err != nil {
		return fmt.Errorf("register the applications of webhooks: %w", err)
	}
	return nil
}

// changedAtOnce bounds the records that one transaction of inParts changes.
const changedAtOnce = 100

// inParts makes a change to many records, some of them at a time.
func inParts(ctx context.Context, st *store.Store, ids []resource.ID, change func(resource.Tx, resource.ID) error) error {
	for some := range slices.Chunk(ids, changedAtOnce) {
		err := st.Commit(ctx, func(tx resource.Tx) error {
			for _, id := range some {
				if err := change(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// impostors are records that earlier versions let tenants make and that no request
// reaches any more: of internal types, but not at the root, and groups or
// subscriptions at a place where none can be.
func impostors(st *store.Store) (found []resource.ID) {
	add := func(typ string, impostor func(resource.ID) bool) {
		for _, r := range st.List(typ, resource.ID{}) {
			if impostor(r.ID) {
				found = append(found, r.ID)
			}
		}
	}
	for _, typ := range st.Types() {
		if resource.IsInternal(typ) {
			add(typ, func(id resource.ID) bool { return !id.Scope().IsRoot() })
		}
	}
	before := len(found)
	if add(resource.TypeGroup, resource.ID.Disguised); len(found) > before {
		found = found[:before]
		add("", resource.ID.Disguised) // with what they hold
	}
	return found
}
