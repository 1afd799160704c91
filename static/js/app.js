// What every page of somebody who is signed in loads.

import "./time.js";
import "./theme.js";
import "./menu.js";
import "./secret.js";
import "./sidebar.js";
import "./conversation.js";
import "./excerpt.js";
import "./sources.js";
import "./search.js";
