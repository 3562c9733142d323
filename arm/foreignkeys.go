package arm

import (
	"crypto/rand"
	"encoding/base64"

	"github.com/intertie/intertie/resource"
)

// typeStorageAccount is the one foreign type with actions: templates read the
// keys of storage accounts that they create.
const typeStorageAccount = "Microsoft.Storage/storageAccounts"

var storageKeyNames = []string{"key1", "key2"}

// storageKeyLen is that of Azure's keys, in bytes.
const storageKeyLen = 64

// giveStorageKeys makes those that are missing.
func giveStorageKeys(r *resource.Resource) error {
	for _, name := range storageKeyNames {
		if r.Secrets[name] == "" {
			if err := newStorageKey(r, name); err != nil {
				return err
			}
		}
	}
	return nil
}

func newStorageKey(r *resource.Resource, name string) error {
	key := make([]byte, storageKeyLen)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	r.Secret(name, base64.StdEncoding.EncodeToString(key))
	return nil
}

func storageActions() map[string]resource.Action {
	return resource.Actions(
		resource.Action{Name: "listKeys", Reads: true, Do: func(c *resource.Call) (any, error) { return storageKeys(c.Resource), nil }},
		resource.Action{Name: "regenerateKey", Do: func(c *resource.Call) (any, error) {
			var body struct {
				KeyName string `json:"keyName"`
			}
			if err := resource.DecodeBody(c.Body, &body); err != nil {
				return nil, err
			}
			next := c.Resource.Clone()
			for _, name := range storageKeyNames {
				if anyFold(body.KeyName, name) {
					if err := newStorageKey(next, name); err != nil {
						return nil, err
					}
					c.Tx.Put(next)
					return storageKeys(next), nil
				}
			}
			return nil, resource.Invalid("There is no key '%s'; the keys are key1 and key2.", body.KeyName)
		}},
	)
}

func storageKeys(r *resource.Resource) any {
	keys := []any{}
	for _, name := range storageKeyNames {
		keys = append(keys, map[string]string{"keyName": name, "value": r.Secrets[name], "permissions": "FULL"})
	}
	return map[string]any{"keys": keys}
}
