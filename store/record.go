package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/intertie/intertie/resource"
)

// recordVersion is written with each record; a greater one was written by a
// newer program and is refused rather than misread.
const recordVersion = 1

// record is the durable form of a resource.
type record struct {
	Version    int                        `json:"v"`
	ID         string                     `json:"id"`
	UID        resource.UID               `json:"uid"`
	Type       string                     `json:"type"`
	Location   string                     `json:"location,omitempty"`
	Tags       map[string]string          `json:"tags,omitempty"`
	Identity   json.RawMessage            `json:"identity,omitempty"`
	Properties json.RawMessage            `json:"properties,omitempty"`
	Extra      map[string]json.RawMessage `json:"extra,omitempty"`
	Sealed     []byte                     `json:"sealed,omitempty"`
	CreatedAt  time.Time                  `json:"createdAt"`
	CreatedBy  string                     `json:"createdBy,omitempty"`
	ModifiedAt time.Time                  `json:"modifiedAt"`
	ModifiedBy string                     `json:"modifiedBy,omitempty"`
}

func encode(r *resource.Resource, sealer *Sealer) ([]byte, error) {
	rec := record{
		Version: recordVersion, ID: r.ID.String(), UID: r.UID, Type: r.Type, Location: r.Location, Tags: r.Tags,
		Identity: r.Identity, Properties: r.Properties, Extra: r.Extra,
		CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, ModifiedAt: r.ModifiedAt, ModifiedBy: r.ModifiedBy,
	}
	if len(r.Secrets) > 0 {
		plain, err := json.Marshal(r.Secrets)
		if err != nil {
			return nil, fmt.Errorf("encode secrets of %s: %w", r.ID, err)
		}
		rec.Sealed = sealer.seal(sealName(r.UID), plain)
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.ID, err)
	}
	return data, nil
}

func decode(data []byte, sealer *Sealer) (*resource.Resource, error) {
	var rec record
	if err := json.Unmarshal(data, &rec); err != nil {
		return nil, fmt.Errorf("decode resource record: %w", err)
	}
	if rec.Version > recordVersion {
		return nil, fmt.Errorf("resource %s was written by a newer version of Intertie (record version %d, this one reads up to %d)",
			rec.ID, rec.Version, recordVersion)
	}
	id, err := resource.ParseID(rec.ID)
	if err != nil {
		return nil, fmt.Errorf("decode resource record: %w", err)
	}
	r := &resource.Resource{
		ID: id, UID: rec.UID, Type: rec.Type, Location: rec.Location, Tags: rec.Tags,
		Identity: rec.Identity, Properties: rec.Properties, Extra: rec.Extra,
		CreatedAt: rec.CreatedAt, CreatedBy: rec.CreatedBy, ModifiedAt: rec.ModifiedAt, ModifiedBy: rec.ModifiedBy,
	}
	if len(rec.Sealed) > 0 {
		plain, err := sealer.open(sealName(rec.UID), rec.Sealed)
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", rec.ID, err)
		}
		if err := json.Unmarshal(plain, &r.Secrets); err != nil {
			return nil, fmt.Errorf("decode secrets of %s: %w", rec.ID, err)
		}
	}
	return r, nil
}

func sealName(uid resource.UID) string { return "resource/" + uid.String() }

// Check reports why the value of a resource cannot be read.
func Check(value []byte, sealer *Sealer) error {
	_, err := decode(value, sealer)
	return err
}
