package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/intertie/intertie/resource"
)

// A version is written with each record; a greater one than the newest was written
// by a newer program and is refused rather than misread. Each record has the least
// that says all of it, so that a former program reads what it can.
const (
	plainVersion  = 1
	sealedVersion = 2 // with Body
	recordVersion = sealedVersion
)

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
	Body       []byte                     `json:"body,omitempty"` // of a confidential resource: its content, sealed
	CreatedAt  time.Time                  `json:"createdAt"`
	CreatedBy  string                     `json:"createdBy,omitempty"`
	ModifiedAt time.Time                  `json:"modifiedAt"`
	ModifiedBy string                     `json:"modifiedBy,omitempty"`
}

// content is what a confidential resource has sealed, beside its secrets.
type content struct {
	Tags       map[string]string          `json:"tags,omitempty"`
	Identity   json.RawMessage            `json:"identity,omitempty"`
	Properties json.RawMessage            `json:"properties,omitempty"`
	Extra      map[string]json.RawMessage `json:"extra,omitempty"`
}

// seal moves the content of a record into its sealed body.
func (rec *record) seal(sealer *Sealer) error {
	plain, err := json.Marshal(content{rec.Tags, rec.Identity, rec.Properties, rec.Extra})
	if err != nil {
		return fmt.Errorf("encode %s: %w", rec.ID, err)
	}
	rec.Version, rec.Body = sealedVersion, sealer.seal(bodyName(rec.UID), plain)
	rec.Tags, rec.Identity, rec.Properties, rec.Extra = nil, nil, nil, nil
	return nil
}

// open is the inverse of seal.
func (rec *record) open(sealer *Sealer) error {
	plain, err := sealer.open(bodyName(rec.UID), rec.Body)
	if err != nil {
		return fmt.Errorf("decode %s: %w", rec.ID, err)
	}
	var c content
	if err := json.Unmarshal(plain, &c); err != nil {
		return fmt.Errorf("decode the content of %s: %w", rec.ID, err)
	}
	rec.Tags, rec.Identity, rec.Properties, rec.Extra = c.Tags, c.Identity, c.Properties, c.Extra
	return nil
}

func encode(r *resource.Resource, sealer *Sealer) ([]byte, error) {
	rec := record{
		Version: plainVersion, ID: r.ID.String(), UID: r.UID, Type: r.Type, Location: r.Location, Tags: r.Tags,
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
	if r.Confidential {
		if err := rec.seal(sealer); err != nil {
			return nil, err
		}
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
	confidential := len(rec.Body) > 0
	if confidential {
		if err := rec.open(sealer); err != nil {
			return nil, err
		}
	}
	r := &resource.Resource{
		Confidential: confidential, ID: id, UID: rec.UID, Type: rec.Type, Location: rec.Location, Tags: rec.Tags,
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

func bodyName(uid resource.UID) string { return "body/" + uid.String() }

// Check reports why the value of a resource cannot be read.
func Check(value []byte, sealer *Sealer) error {
	_, err := decode(value, sealer)
	return err
}
