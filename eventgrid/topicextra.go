package eventgrid

import (
	"encoding/json"

	"github.com/intertie/intertie/resource"
)

// The members beside the properties that newer previews give to topics.
const (
	extraSKU      = "sku"
	extraKind     = "kind"
	extraLocation = "extendedLocation"
)

// extraForms make what a member has to fit into; written back it has canonical
// casing and nothing unknown.
var extraForms = map[string]func() any{
	extraSKU: func() any {
		return &struct {
			Name skuName `json:"name"`
		}{}
	},
	extraKind: func() any { return new(resourceKind) },
	extraLocation: func() any {
		return &struct {
			Name string `json:"name"`
			Type string `json:"type"`
		}{}
	},
}

type skuName string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *skuName) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, s, "Basic", "Premium")
}

type resourceKind string

// UnmarshalJSON implements [json.Unmarshaler].
func (k *resourceKind) UnmarshalJSON(data []byte) error {
	return resource.ParseEnum(data, k, "Azure", "AzureArc")
}

func checkExtra(res *resource.Resource) error {
	for name, sent := range res.Extra {
		v := extraForms[name]()
		if err := resource.DecodeMember(name, sent, v); err != nil {
			return err
		}
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		res.Extra[name] = data
	}
	return nil
}
