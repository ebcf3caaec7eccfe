import { rulesOf, type Rule } from './rule.js';

export const NIX_FLAKE: readonly Rule[] = rulesOf('nix.flake', [
  [
    'attribute',
    /(?:does not|doesn't) provide attribute|does not provide\s+attribute|flake '[^']*' does not (?:provide|contain|have)/i,
    0.94,
    'the flake has no such output',
  ],
  [
    'registry',
    /cannot find flake '|in the flake registr|flake[- ]registry|'flake:[\w./-]+' .{0,60}(?:not found|cannot|unable)|indirect flake|is not a (?:valid )?flake\b|(?:could not|cannot|couldn't) find (?:a )?flake(?:\.nix)?|is not part of a flake|(?:does not contain|has no|lacks|without) (?:a |an )?'?\S*flake\.nix|not (?:a )?valid (?:URL|flake ?(?:ref|reference|URL))|no flake\.nix|'flake\.nix' .{0,40}(?:not found|missing|does not)/i,
    0.88,
    'there is no such flake',
    { unless: /unable to download .{0,200}(?:resolve|connect)/i },
  ],
  [
    'lock',
    /(?:lock ?file|flake\.lock)\b.{0,120}?(?:not allowed|cannot|can't|unable|corrupt|invalid|unsupported|out of date|changes|mismatch|missing|fail|error|locked)|(?:cannot|unable to|failed to|can't) (?:write|update|read|parse) (?:\w{1,30} ){0,6}(?:lock ?file|flake\.lock)|requires lock file changes|cannot update unlocked flake|unlocked (?:flake )?input|has unlocked input|is unlocked|not (?:a )?locked\b|--no-(?:update|write)-lock-file|lock file contains/i,
    0.88,
    'the flake’s lock file does not fit',
    { unless: /dpkg|apt|\/var\/lib|profile\.lock|big-lock|yarn|package-lock|cargo/i },
  ],
  [
    'input',
    /cannot find input|flake\.nix'?: No such file|(?:flake )?input '(?<input>[^']*)'.{0,160}?(?:does not exist|non-existent|not found|cannot|unable|fail|unsupported|missing|infinite|follows|mismatch|not a flake|error)|unsupported (?:flake |input )*attribute|unknown (?:flake |input )*attribute|follows a non-existent input|error: .{0,20}while (?:updating|fetching) the (?:flake )?(?:input|lock)|while (?:updating|fetching) the (?:flake )?input '|(?:cyclic|circular) (?:flake )?input|infinite follows/i,
    0.82,
    'an input of the flake cannot be had: {input}',
    { unless: /syntax|undefined variable|warning: input .{0,80}override/i },
  ],
  [
    'git',
    /(?:cannot|could not|unable to) find (?:Git |git )?(?:revision|reference|ref|commit)|(?:Failed|failed|unable|error) (?:to )?(?:fetch|fetching|clone|checkout|check out)(?:ing)? (?:git|Git) (?:repository|tree|input|repo)|program 'git' failed|'git' failed with exit code|fetchTree|getting (?:the )?(?:HEAD|Git)|repository path '[^']*' is not owned by|not owned by current user|detected dubious ownership|couldn't find remote ref|Remote branch \S+ not found|pathspec .{0,60}did not match|reference is not a tree|not a git repository|resolving Git reference|source tree referenced by|git\+(?:file|https?|ssh):\S{1,200}(?!\S).{0,80}(?:does not|cannot|fail|error)|relative path .{0,80}(?:outside|parent)/i,
    0.8,
    'the flake’s Git tree cannot be read',
  ],
  [
    'any-error',
    /error: .{0,200}\b(?:flake(?:\.nix)?|flakeref)\b/i,
    0.58,
    'something is wrong with the flake',
    { unless: /syntax|undefined|attribute '|builder|hash mismatch|experimental/i },
  ],
  ['disabled', /experimental (?:Nix )?feature 'flakes' is (?:disabled|not enabled)/i, 0.82, 'flakes are not enabled'],
]);
