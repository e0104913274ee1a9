// The console's script: small enhancements of pages that work without it.
import { showTimes } from "./times.js";
import { offerCopies } from "./copying.js";
import { enhanceConnection } from "./connection.js";
import { enhanceProvider } from "./provider.js";
import { enhanceAddresses } from "./addresses.js";
import { enhancePinning } from "./pinning.js";
import { submitOnce } from "./submitting.js";
import { tellLosses } from "./losing.js";
import { keepSearch } from "./searching.js";

showTimes();
offerCopies();
enhanceConnection();
enhanceProvider();
enhanceAddresses();
enhancePinning();
submitOnce();
tellLosses();
keepSearch();
