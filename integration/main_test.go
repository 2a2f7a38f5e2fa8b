package integration

import (
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

func TestMain(m *testing.M) { testenv.MainWithBinary(m) }
