package userfile

import (
	"testing"

	"github.com/mpull/mpull/integration/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
