// Roughly where a country, a Cloudflare data centre or a continent is, to a tenth of a degree (about 11 km): enough to
// choose between regions an ocean apart, and for nothing finer. The tables are strings, each parsed on its first use:
// as object literals they would be seven times the lines, and parsed at load they would cost every cold start nearly a
// millisecond, though most requests bring their coordinates and look nothing up.
import type {Point} from '../residency/distance.ts';

/**
 * ISO 3166-1 alpha-2, all of it, and XK (Kosovo), which geolocation reports too. A point lies where the people are, not
 * in the geometric middle: that of Russia is in Siberia, and would send Moscow to Tokyo.
 */
export const countries = lazily(`
  AD 42.5 1.5; AE 25 55.2; AF 34.4 68.5; AG 17.1 -61.8; AI 18.2 -63.1; AL 41.3 19.8; AM 40.2 44.5; AO -9.5 14;
  AQ -77.8 166.7; AR -34 -60; AS -14.3 -170.7; AT 47.9 15; AU -33.9 149.5; AW 12.5 -70; AX 60.1 19.9; AZ 40.4 49;
  BA 44.1 18; BB 13.1 -59.6; BD 23.8 90.3; BE 50.9 4.4; BF 12.3 -1.6; BG 42.7 24.5; BH 26.2 50.6; BI -3.3 29.6;
  BJ 6.8 2.4; BL 17.9 -62.8; BM 32.3 -64.8; BN 4.9 114.9; BO -17 -66.2; BQ 12.2 -68.3; BR -17 -45.5; BS 25 -77.4;
  BT 27.4 89.8; BV -54.4 3.4; BW -24.2 26.2; BY 53.8 27.8; BZ 17.4 -88.4; CA 45 -78; CC -12.2 96.8; CD -4.2 21.5;
  CF 4.7 18.2; CG -4.2 14.6; CH 47.1 8; CI 6 -4.8; CK -21.2 -159.8; CL -33.9 -71; CM 4.5 10.8; CN 32.5 113.3;
  CO 5.2 -74.6; CR 9.9 -84.1; CU 22.6 -80.8; CV 15 -23.6; CW 12.2 -69; CX -10.4 105.7; CY 35 33.2; CZ 49.9 15.3;
  DE 50.8 9.6; DJ 11.6 43.1; DK 55.8 11; DM 15.3 -61.4; DO 18.7 -70.2; DZ 36.2 3.2; EC -1.4 -79.2; EE 59.1 25.3;
  EG 30.1 31.2; EH 27.1 -13.2; ER 15.3 38.8; ES 40 -3; ET 9 38.7; FI 61.5 25; FJ -18 178.2; FK -51.7 -57.9;
  FM 6.9 158.2; FO 62 -6.8; FR 47.6 2.4; GA 0.1 9.9; GB 52.6 -1.5; GD 12.1 -61.7; GE 41.9 44; GF 4.9 -52.5;
  GG 49.5 -2.6; GH 6.2 -1; GI 36.1 -5.4; GL 64.2 -51.7; GM 13.4 -16.6; GN 9.9 -12.5; GP 16.2 -61.5; GQ 2.2 10;
  GR 38.6 23.2; GS -54.3 -36.5; GT 14.7 -90.8; GU 13.5 144.8; GW 11.9 -15.4; GY 6.7 -58.1; HK 22.3 114.2;
  HM -53.1 73.5; HN 14.7 -87.4; HR 45.3 16.2; HT 18.7 -72.4; HU 47.3 19.3; ID -6.8 108.5; IE 53.2 -7; IL 32 34.9;
  IM 54.2 -4.5; IN 22.5 79.8; IO -7.3 72.4; IQ 33.3 44.4; IR 34.7 51.5; IS 64.1 -21.8; IT 42.8 12; JE 49.2 -2.1;
  JM 18 -77; JO 32 35.9; JP 35.6 137.3; KE -0.8 36.8; KG 42 74.2; KH 11.9 105; KI 1.4 173; KM -11.9 43.5;
  KN 17.3 -62.7; KP 39.3 126.2; KR 36.9 127.4; KW 29.3 48; KY 19.3 -81.3; KZ 46.8 71.5; LA 17.8 103.5; LB 33.8 35.6;
  LC 13.9 -61; LI 47.2 9.5; LK 7 80.2; LR 6.5 -10.2; LS -29.5 28; LT 55 24.2; LU 49.6 6.1; LV 56.9 24.3; LY 32.4 16;
  MA 33.2 -6.9; MC 43.7 7.4; MD 47 28.7; ME 42.5 19.2; MF 18.1 -63.1; MG -19 47.3; MH 7.1 171.3; MK 41.8 21.6;
  ML 12.9 -7; MM 19 96.2; MN 47.9 106; MO 22.2 113.5; MP 15.2 145.7; MQ 14.6 -61; MR 17.5 -14.5; MS 16.8 -62.2;
  MT 35.9 14.5; MU -20.2 57.5; MV 4.2 73.5; MW -14.3 34.3; MX 20.2 -99.8; MY 3.2 102.5; MZ -18.5 35.5; NA -20.5 16.9;
  NC -22.2 166.4; NE 13.6 5; NF -29 168; NG 9 7; NI 12.4 -86; NL 52.1 5.1; NO 60.4 10; NP 27.7 85; NR -0.5 166.9;
  NU -19.1 -169.9; NZ -38.8 175.2; OM 23.4 57.9; PA 8.9 -79.8; PE -11.2 -76.6; PF -17.6 -149.5; PG -6.2 145.8;
  PH 13.2 122; PK 30.5 71.5; PL 51.9 19.3; PM 46.8 -56.2; PN -25.1 -130.1; PR 18.4 -66.3; PS 31.8 34.9; PT 39.8 -8.5;
  PW 7.4 134.5; PY -25.4 -57; QA 25.3 51.5; RE -21.1 55.4; RO 45.5 25.6; RS 44.4 20.7; RU 55.8 44; RW -2 30; SA 24 45;
  SB -9.3 160.2; SC -4.6 55.5; SD 14.8 32.4; SE 58.9 16; SG 1.3 103.8; SH -15.9 -5.7; SI 46.2 14.7; SJ 78.2 15.6;
  SK 48.6 19; SL 8.3 -12.5; SM 43.9 12.5; SN 14.6 -16.6; SO 3.5 45; SR 5.8 -55.2; SS 6.5 31.2; ST 0.3 6.7;
  SV 13.7 -89.1; SX 18 -63.1; SY 35 36.9; SZ -26.4 31.3; TC 21.8 -72.2; TD 11.5 16.2; TF -49.4 70.2; TG 7 1.1;
  TH 14.5 100.8; TJ 38.6 69.2; TK -9.2 -171.8; TL -8.6 125.8; TM 38.2 59.8; TN 36 10; TO -21.1 -175.2; TR 39.3 32.2;
  TT 10.5 -61.4; TV -8.5 179.2; TW 24.4 120.9; TZ -5.5 35.8; UA 49.2 31.5; UG 0.7 32.4; UM 19.3 166.6; US 37.4 -92.3;
  UY -34.5 -56; UZ 40.3 67.5; VA 41.9 12.5; VC 13.2 -61.2; VE 10 -67.8; VG 18.4 -64.6; VI 18.3 -64.9; VN 16 106.8;
  VU -17 168; WF -13.3 -176.2; WS -13.8 -171.8; XK 42.6 21; YE 14.6 44.4; YT -12.8 45.2; ZA -27.5 28.5; ZM -14.2 28.2;
  ZW -18.6 30.7
`);

/**
 * Cloudflare's data centres, which bear the code of an airport close by. The list grows by the month; a code that is
 * missing here only means that the next clue, the country, has to do.
 */
export const colos = lazily(`
  AAE 36.8 7.8; ABJ 5.3 -3.9; ABQ 35 -106.6; ACC 5.6 -0.2; ACX 25.1 105; ADB 38.3 27.2; ADD 9 38.8; ADL -34.9 138.5;
  AGR 27.2 78; AIP 31.4 75.8; AKL -37 174.8; AKX 50.2 57.2; ALA 43.4 77; ALG 36.7 3.2; AMD 23.1 72.6; AMM 31.7 36;
  AMS 52.3 4.8; ANC 61.2 -150; AQG 30.6 117.1; ARI -18.3 -70.3; ARN 59.7 17.9; ARU -21.1 -50.4; ASK 6.9 -5.4;
  ASU -25.2 -57.5; ATH 37.9 23.9; ATL 33.6 -84.4; AUS 30.2 -97.7; AVA 26.3 105.9; BAH 26.3 50.6; BAQ 10.9 -74.8;
  BBI 20.2 85.8; BCN 41.3 2.1; BDQ 22.3 73.2; BEG 44.8 20.3; BEL -1.4 -48.5; BEY 33.8 35.5; BGI 13.1 -59.5;
  BGR 44.8 -68.8; BGW 33.3 44.2; BHY 21.5 109.3; BKK 13.7 100.7; BLR 13.2 77.7; BNA 36.1 -86.7; BNE -27.4 153.1;
  BNU -26.8 -49.1; BOD 44.8 -0.7; BOG 4.7 -74.1; BOM 19.1 72.9; BOS 42.4 -71; BRU 50.9 4.5; BSB -15.9 -47.9;
  BSR 30.5 47.7; BTS 48.2 17.2; BUD 47.4 19.3; BUF 42.9 -78.7; BWN 4.9 114.9; CAI 30.1 31.4; CAN 23.4 113.3;
  CAW -21.7 -41.3; CBR -35.3 149.2; CCP -36.8 -73.1; CCU 22.7 88.4; CDG 49 2.5; CEB 10.3 124; CFC -26.8 -50.9;
  CGB -15.7 -56.1; CGD 28.9 111.6; CGK -6.1 106.7; CGO 34.5 113.8; CGP 22.2 91.8; CGQ 44 125.7; CGY 8.4 124.6;
  CHC -43.5 172.5; CJB 11 77; CKG 29.7 106.6; CLE 41.4 -81.8; CLO 3.5 -76.4; CLT 35.2 -80.9; CMB 7.2 79.9;
  CMH 40 -82.9; CMN 33.4 -7.6; CNF -19.6 -44; CNN 11.9 75.4; CNX 18.8 99; COK 10.2 76.4; COR -31.3 -64.2;
  CPH 55.6 12.7; CPT -34 18.6; CRK 15.2 120.6; CSX 28.2 113.2; CTU 30.6 103.9; CUR 12.2 -69; CVG 39 -84.7;
  CWB -25.5 -49.2; CZL 36.3 6.6; CZX 31.9 119.8; DAC 23.8 90.4; DAD 16 108.2; DAR -6.9 39.2; DEL 28.6 77.1;
  DEN 39.9 -104.7; DFW 32.9 -97; DKR 14.7 -17.5; DLA 4 9.7; DLC 39 121.5; DME 55.4 37.9; DMM 26.5 49.8; DOH 25.3 51.6;
  DPS -8.7 115.2; DTW 42.2 -83.4; DUB 53.4 -6.3; DUR -29.6 31.1; DUS 51.3 6.8; DXB 25.3 55.4; DYU 38.5 68.8;
  EBB 0 32.4; EBL 36.2 44; EDI 56 -3.4; EVN 40.1 44.4; EWR 40.7 -74.2; EZE -34.8 -58.5; FCO 41.8 12.2; FIH -4.4 15.4;
  FLN -27.7 -48.6; FOC 25.9 119.7; FOR -3.8 -38.5; FRA 50 8.6; FRU 43.1 74.5; FSD 43.6 -96.7; FUK 33.6 130.5;
  FUO 23.1 113.1; GBE -24.6 25.9; GDL 20.5 -103.3; GEO 6.5 -58.3; GIG -22.8 -43.3; GND 12 -61.8; GOT 57.7 12.3;
  GRU -23.4 -46.5; GUA 14.6 -90.5; GUM 13.5 144.8; GVA 46.2 6.1; GYD 40.5 50; GYE -2.2 -79.9; GYN -16.6 -49.2;
  HAK 19.9 110.5; HAM 53.6 10; HAN 21.2 105.8; HBA -42.8 147.5; HEL 60.3 25; HFA 32.8 35; HFE 31.8 117.3;
  HGH 30.2 120.4; HKG 22.3 113.9; HNL 21.3 -157.9; HRE -17.9 31.1; HYD 17.2 78.4; HYN 28.6 121.4; IAD 38.9 -77.5;
  IAH 30 -95.3; ICN 37.5 126.5; IND 39.7 -86.3; ISB 33.6 73.1; IST 41 28.8; ISU 35.6 45.3; ITJ -26.9 -48.7;
  IXC 30.7 76.8; JAX 30.5 -81.7; JDO -7.2 -39.3; JED 21.7 39.2; JHB 1.6 103.7; JIB 11.5 43.2; JNB -26.1 28.2;
  JOG -7.8 110.4; JOI -26.2 -48.8; JRG 21.9 84; JSR 23.2 89.2; JXG 30.8 120.7; KBP 50.3 30.9; KCH 1.5 110.3;
  KEF 64 -22.6; KGL -2 30.1; KHH 22.6 120.3; KHI 24.9 67.2; KHN 28.9 115.9; KHV 48.5 135.2; KIN 17.9 -76.8;
  KIV 46.9 28.9; KIX 34.4 135.2; KJA 56.2 92.5; KLD 56.8 35.8; KMG 25.1 102.9; KNU 26.4 80.4; KTM 27.7 85.4;
  KUL 2.7 101.7; KWE 26.5 106.8; KWI 29.2 48; LAD -8.9 13.2; LAS 36.1 -115.2; LAX 33.9 -118.4; LCA 34.9 33.6;
  LED 59.8 30.3; LHE 31.5 74.4; LHR 51.5 -0.5; LHW 36.5 103.6; LIM -12 -77.1; LIS 38.8 -9.1; LJU 46.2 14.5;
  LLK 38.7 48.8; LLW -13.8 33.8; LOS 6.6 3.3; LPB -16.5 -68.2; LUH 30.9 76; LUN -15.3 28.5; LUX 49.6 6.2;
  LYA 34.7 112.4; LYS 45.7 5.1; MAA 13 80.2; MAD 40.5 -3.6; MAN 53.4 -2.3; MAO -3 -60; MBA -4 39.6; MCI 39.3 -94.7;
  MCT 23.6 58.3; MDE 6.2 -75.4; MDL 21.7 96; MEL -37.7 144.8; MEM 35 -90; MEX 19.4 -99.1; MFE 26.2 -98.2;
  MFM 22.1 113.6; MGM 32.3 -86.4; MIA 25.8 -80.3; MLA 35.9 14.5; MLE 4.2 73.5; MLG -7.9 112.7; MNL 14.5 121;
  MPM -25.9 32.6; MRS 43.4 5.2; MRU -20.4 57.7; MSP 44.9 -93.2; MSQ 53.9 28; MUC 48.4 11.8; MXP 45.6 8.7; NAG 21.1 79;
  NBO -1.3 36.9; NJF 32 44.4; NNG 22.6 108.2; NOU -22 166.2; NQN -38.9 -68.2; NQZ 51 71.5; NRT 35.8 140.4;
  NVT -26.9 -48.7; OKA 26.2 127.6; OKC 35.4 -97.6; OMA 41.3 -95.9; ORD 42 -87.9; ORF 36.9 -76.2; ORK 51.8 -8.5;
  ORN 35.6 -0.6; OSL 60.2 11.1; OTP 44.6 26.1; OUA 12.4 -1.5; PAP 18.6 -72.3; PAT 25.6 85.1; PBH 27.4 89.4;
  PBM 5.5 -55.2; PDX 45.6 -122.6; PER -31.9 116; PHL 39.9 -75.2; PHX 33.4 -112; PIT 40.5 -80.2; PKX 39.5 116.4;
  PMO 38.2 13.1; PMW -10.3 -48.4; PNH 11.5 104.8; PNQ 18.6 73.9; POA -30 -51.2; POS 10.6 -61.3; PPT -17.6 -149.6;
  PRG 50.1 14.3; PTY 9.1 -79.4; QRO 20.6 -100.2; QWJ -22.7 -47.3; RAO -21.1 -47.8; RDU 35.9 -78.8; REC -8.1 -34.9;
  RGN 16.9 96.1; RIC 37.5 -77.3; RIX 56.9 24; ROB 6.2 -10.4; RUH 25 46.7; RUN -20.9 55.5; SAN 32.7 -117.2;
  SAP 15.5 -87.9; SAT 29.5 -98.5; SCL -33.4 -70.8; SDQ 18.4 -69.7; SEA 47.4 -122.3; SFO 37.6 -122.4; SGN 10.8 106.7;
  SHA 31.2 121.3; SIN 1.4 104; SJC 37.4 -121.9; SJK -23.2 -45.9; SJO 10 -84.2; SJP -20.8 -49.4; SJU 18.4 -66;
  SJW 38.3 114.7; SKG 40.5 23; SKP 42 21.6; SLC 40.8 -112; SMF 38.7 -121.6; SOD -23.5 -47.5; SOF 42.7 23.4;
  SSA -12.9 -38.3; STI 19.4 -70.6; STL 38.7 -90.4; STR 48.7 9.2; SUV -18 178.6; SVX 56.7 60.8; SYD -33.9 151.2;
  SZX 22.6 113.8; TAO 36.3 120.4; TAS 41.3 69.3; TBS 41.7 45; TEN 27.9 109.3; TGU 14.1 -87.2; TIA 41.4 19.7;
  TLH 30.4 -84.4; TLL 59.4 24.8; TLV 32 34.9; TNA 36.9 117.2; TNR -18.8 47.5; TPA 28 -82.5; TPE 25.1 121.2;
  TSN 39.1 117.3; TUN 36.9 10.2; TXL 52.6 13.3; TYN 37.7 112.6; UDI -18.9 -48.2; UDR 24.6 73.9; UIO -0.1 -78.4;
  ULN 47.8 106.8; URT 9.1 99.1; VCP -23 -47.1; VIE 48.1 16.6; VIX -20.3 -40.3; VNO 54.6 25.3; VTE 18 102.6;
  WAW 52.2 21; WDH -22.5 17.5; WHU 31.4 118.4; WLG -41.3 174.8; WRO 51.1 16.9; WUH 30.8 114.2; WUX 31.5 120.4;
  XAP -27.1 -52.7; XFN 32.2 112.3; XIY 34.4 108.8; XNH 30.9 46.1; XNN 36.5 102; YHZ 44.9 -63.5; YOW 45.3 -75.7;
  YTY 32.6 119.7; YUL 45.5 -73.7; YVR 49.2 -123.2; YWG 49.9 -97.2; YXE 52.2 -106.7; YYC 51.1 -114; YYZ 43.7 -79.6;
  ZAG 45.7 16.1; ZDM 31.9 35.2; ZGN 22.5 113.4; ZRH 47.5 8.5
`);

/** Where the people of a continent are, again, so Asia is near its south and Oceania near Sydney. */
export const continents = lazily(`
  AF 6 20; AN -77.8 166.7; AS 27 95; EU 50.5 13; NA 37 -92; OC -33.5 149; SA -13 -57
`);

/** Without a prototype: otherwise a country called "constructor" would be found, and be no point. */
function lazily(table: string): () => Readonly<Record<string, Point>> {
  let points: Record<string, Point> | undefined;
  return () => (points ??= parse(table));
}

function parse(table: string): Record<string, Point> {
  const points: Record<string, Point> = Object.create(null);
  for (const entry of table.split(';')) {
    const [code, latitude, longitude] = entry.trim().split(' ');
    points[code!] = [Number(latitude), Number(longitude)];
  }
  return points;
}
