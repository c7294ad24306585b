with
reporting_date as {{ rows_of(ref('reporting_date')) }},
fact_loan_month as {{ rows_of(ref('fact_loan_month')) }},
fact_loan_outcome as {{ rows_of(ref('fact_loan_outcome')) }},
fact_loan_transaction as {{ rows_of(ref('fact_loan_transaction')) }},

{{ number_spine(4) }},

reported as (
    select r.as_of_date, r.last_month_end from reporting_date as r
),

-- A disbursement that was taken back makes no loan of a cohort, nor does one whose day is unknown, or out of the calendar's range.
loans as (
    select
        m.loan_hk,
        m.currency,
        m.disbursed_on,
        {{ month_start('m.disbursed_on') }} as cohort_month,
        m.originated_amount
    from fact_loan_month as m
    inner join reported as r on m.disbursed_on >= {{ first_calendar_day('r.as_of_date') }}
    where m.snapshot_kind = 'as_of' and m.status <> 'cancelled' and m.disbursed_on is not null
),

cohorts as (
    select
        l.cohort_month, l.currency, count(*) as loans, sum(l.originated_amount) as originated_amount,
        -- A month that is over on the reporting date itself is observed.
        {{ months_between('l.cohort_month', "case when r.as_of_date = " ~ month_end('r.as_of_date') ~ " then r.as_of_date else r.last_month_end end") }} as last_observed
    from loans as l
    cross join reported as r
    group by l.cohort_month, l.currency, r.as_of_date, r.last_month_end
),

-- What the loans of a cohort add to it in a month on book: themselves once they turn bad, and what is written off of them.
turned as (
    select
        l.cohort_month, l.currency, {{ months_between('l.disbursed_on', 'o.bad_on') }} as months_on_book,
        1 as bad_loans, l.originated_amount as bad_amount, 0 as written_off
    from loans as l
    inner join fact_loan_outcome as o on o.loan_hk = l.loan_hk
    union all
    select l.cohort_month, l.currency, {{ months_between('l.disbursed_on', 't.effective_on') }}, 0, 0, t.amount
    from loans as l
    inner join fact_loan_transaction as t on t.loan_hk = l.loan_hk and t.effect = 'write-off'
),

changes as (
    select
        t.cohort_month, t.currency, t.months_on_book,
        sum(t.bad_loans) as bad_loans, sum(t.bad_amount) as bad_amount, sum(t.written_off) as written_off
    from turned as t
    group by t.cohort_month, t.currency, t.months_on_book
),

longest as (
    select max(c.last_observed) as months from cohorts as c
),

cells as (
    select c.*, s.n as months_on_book
    from cohorts as c
    cross join longest as l
    inner join spine as s on s.n <= l.months
),

counted as (
    select
        c.cohort_month, c.currency, c.months_on_book, c.last_observed, c.loans, c.originated_amount,
        coalesce(sum(b.bad_amount), 0) as bad_amount,
        coalesce(sum(b.bad_loans), 0) as bad_loans,
        coalesce(sum(b.written_off), 0) as written_off
    from cells as c
    left join changes as b on b.cohort_month = c.cohort_month and b.currency = c.currency and b.months_on_book <= c.months_on_book
    group by c.cohort_month, c.currency, c.months_on_book, c.last_observed, c.loans, c.originated_amount
),

final as (
    select
        r.as_of_date,
        c.cohort_month,
        c.currency,
        c.months_on_book,
        cast(c.loans as bigint) as loans,
        cast(case when c.months_on_book <= c.last_observed then c.bad_loans end as bigint) as bad_loans,
        cast(case when c.months_on_book <= c.last_observed then c.bad_amount end as numeric(38, 4)) as numerator,
        cast(c.originated_amount as numeric(38, 4)) as denominator,
        case when c.months_on_book <= c.last_observed then {{ ratio('c.bad_amount', 'c.originated_amount') }} end as value,
        cast(case when c.months_on_book <= c.last_observed then c.written_off end as numeric(38, 4)) as written_off_amount,
        case when c.months_on_book <= c.last_observed then {{ ratio('c.written_off', 'c.originated_amount') }} end as written_off_value
    from counted as c
    cross join reported as r
)

select * from final
