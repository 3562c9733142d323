package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// removeImpostors deletes records that earlier versions let tenants make and that no
// request reaches any more: of internal types, but not at the root, and groups or
// subscriptions at a place where none can be.
func removeImpostors(ctx context.Context, st *store.Store, logger *slog.Logger) error {
	found := impostors(st)
	for ids := range slices.Chunk(found, namesAtOnce) {
		err := st.Commit(ctx, func(tx resource.Tx) error {
			for _, id := range ids {
				resource.DeleteWhole(tx, id)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("remove records of types that are this server's own: %w", err)
		}
		for _, id := range ids {
			logger.Warn("a record was removed that a client had made of a type of this server's own", "id", id)
		}
	}
	return nil
}

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
