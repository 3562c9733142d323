package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/intertie/intertie/eventgrid"
	"github.com/intertie/intertie/resource"
	"github.com/intertie/intertie/store"
)

// secretFromFile marks an entry of the gallery that came from the file: no read
// shows it, and a change through the API keeps it.
const secretFromFile = "galleryFile"

// galleryChunk bounds the entries of one transaction, which all have to fit into
// about 4 MB; one has at most some 30 KB.
const galleryChunk = 64

// applyGallery makes the gallery hold what the file holds: entries that are new or
// differ are written, and those that an earlier file brought and this one does not
// have are removed. Entries made through the API stay, unless the file has one of
// the same name, which makes them the file's.
func applyGallery(ctx context.Context, st *store.Store, entries []galleryEntry, by string, now time.Time) (written, removed int, err error) {
	wanted := make(map[string]bool)
	for chunk := range slices.Chunk(entries, galleryChunk) {
		n := 0
		err := st.Commit(ctx, func(tx resource.Tx) error {
			n = 0
			for _, e := range chunk {
				changed, err := putGalleryEntry(tx, e, by, now)
				if err != nil {
					return err
				}
				if changed {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return written, removed, fmt.Errorf("write the gallery: %w", err)
		}
		written += n
		for _, e := range chunk {
			wanted[strings.ToLower(e.Name)] = true
		}
	}
	var left []resource.ID
	for _, r := range st.List(eventgrid.TypeVerifiedPartner, resource.ID{}) {
		if r.Secrets[secretFromFile] != "" && !wanted[strings.ToLower(r.ID.Name())] {
			left = append(left, r.ID)
		}
	}
	for chunk := range slices.Chunk(left, galleryChunk) {
		err := st.Commit(ctx, func(tx resource.Tx) error {
			for _, id := range chunk {
				resource.DeleteWhole(tx, id)
			}
			return nil
		})
		if err != nil {
			return written, removed, fmt.Errorf("remove entries from the gallery: %w", err)
		}
		removed += len(chunk)
	}
	return written, removed, nil
}

// putGalleryEntry reports whether it changed anything.
func putGalleryEntry(tx resource.Tx, e galleryEntry, by string, now time.Time) (bool, error) {
	id, err := eventgrid.VerifiedPartnerID(e.Name)
	if err != nil {
		return false, err
	}
	old, exists := tx.Get(id)
	next := &resource.Resource{ID: id, UID: resource.NewUID(), Type: eventgrid.TypeVerifiedPartner, CreatedAt: now, CreatedBy: by}
	if exists {
		next = old.Clone()
	}
	if err := resource.Encode(next, &e.VerifiedPartner); err != nil {
		return false, err
	}
	if exists && old.Secrets[secretFromFile] != "" && bytes.Equal(old.Properties, next.Properties) {
		return false, nil
	}
	next.ModifiedAt, next.ModifiedBy = now, by
	next.Secret(secretFromFile, "yes")
	tx.Put(next)
	return true, nil
}
